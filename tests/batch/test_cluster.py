"""A run on a Ray cluster of two nodes, one of which is killed half-way."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import rows_in
from PIL import Image
from ray.cluster_utils import Cluster
from typer.testing import CliRunner

import cnnviz
from cnnviz.batch import cluster, runs
from cnnviz.cards import write_card
from cnnviz.cli import main
from cnnviz.networks.engines import conversion, litert

# Ray starts processes and sockets that Python warns of when pytest ends.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]

# A dead node is detected after two seconds; by default after half a minute.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 4,
}
PARTS, SIZE = 24, 20


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of converted networks, here and on the nodes."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def nodes(cache: Path) -> Iterator[Cluster]:
    """Two nodes with one processor each: the work of a dead one must wait for the other."""
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": HEALTH}
    two_nodes = Cluster(initialize_head=True, head_node_args=head)
    two_nodes.add_node(num_cpus=1)
    yield two_nodes
    two_nodes.shutdown()


@pytest.fixture(scope="module")
def model(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, tiny: Callable[[str], Any]
) -> Path:
    """A model and its conversion, which workers take if they trust the model."""
    path = tmp_path_factory.mktemp("models") / "two_classes.keras"
    tiny("two_classes").model.save(path)
    write_card(tiny("two_classes").card, path.with_suffix(".json"))
    conversion.convert_file(path, trusted=True)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos with many names, one of them damaged."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(4)
    real = [folder / f"{number}.real" for number in range(10)]
    for path in real:
        pixels = random.integers(0, 256, (400, 600, 3), np.uint8)
        Image.fromarray(pixels).save(path, "JPEG")
    paths = [folder / f"{number:04}.jpg" for number in range(PARTS * SIZE)]
    for number, path in enumerate(paths):
        os.link(real[number % len(real)], path)
    paths[100].unlink()
    paths[100].write_bytes(b"no photo")
    return paths


def assert_same_rows(rows: list[dict], expected: list[dict]) -> None:
    for row, other in zip(rows, expected, strict=True):
        confidence = other["confidence"]
        if confidence is not None:
            assert row["confidence"] == pytest.approx(confidence, rel=1e-4)
        assert {**row, "confidence": None} == {**other, "confidence": None}


def test_the_command_gives_the_same_rows_on_a_cluster(
    nodes: Cluster, model: Path, photos: list[Path], tmp_path: Path, monkeypatch: Any
) -> None:
    """Of one part, so that one worker is enough."""
    monkeypatch.chdir(tmp_path)
    chosen = ["explain", str(model), *map(str, photos[92:104]), "--out"]
    there = CliRunner().invoke(main.app, [*chosen, "there", "--ray", nodes.address])
    here = CliRunner().invoke(main.app, [*chosen, "here"])
    assert (there.exit_code, here.exit_code) == (1, 1), there.stderr
    assert there.stdout == ""
    assert "Explained 11 photos" in there.stderr
    assert f"{photos[100]}: This file cannot be read as a photo" in there.stderr
    assert_same_rows(rows_in(tmp_path / "there"), rows_in(tmp_path / "here"))
    files = [sorted(path.name for path in (tmp_path / out).iterdir()) for out in ("here", "there")]
    assert files[0] == files[1]
    again = CliRunner().invoke(main.app, [*chosen, "there", "--ray", nodes.address, "--resume"])
    assert "12 of 12 photos were done before." in again.stderr


def test_an_error_of_a_worker_ends_the_run_with_its_message(
    nodes: Cluster, model: Path, photos: list[Path], tmp_path: Path
) -> None:
    task = cluster.WorkerTask(tmp_path, model, True, "another fingerprint", runs.BatchRun(tmp_path))
    parts = runs.split(photos[:2], ["a", "b"], 2)
    with pytest.raises(cnnviz.errors.CnnvizError, match="is not the same file on all machines"):
        list(cluster.explain_parts(nodes.address, task, parts))


def test_a_worker_uses_one_processor_and_no_rewriting_that_may_take_hours(
    model: Path, rewriting: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which has already started TensorFlow and its threads."""
    threading = "tensorflow.config.threading.set_intra_op_parallelism_threads"
    counts: list[int] = []
    managers: list[Any] = []
    monkeypatch.setattr(threading, counts.append)
    monkeypatch.setattr(cluster, "around_start", managers.append)
    monkeypatch.setenv("CNNVIZ_THREADS", "2")
    fingerprint = cnnviz.load_model(model).fingerprint
    cluster._network.__wrapped__(model, False, None, fingerprint)
    assert litert.processors() == 1
    assert rewriting()
    (starting_keras,) = managers
    with starting_keras():
        pass
    assert counts == [1]
    assert not rewriting()


def test_a_missing_cluster_is_an_error(model: Path, photos: list[Path], tmp_path: Path) -> None:
    task = cluster.WorkerTask(tmp_path, model, False, "", runs.BatchRun(tmp_path))
    parts = runs.split(photos[:1], [""], 1)
    with pytest.raises(cnnviz.errors.CnnvizError, match="There is no Ray cluster at 'nowhere'"):
        list(cluster.explain_parts("nowhere", task, parts))


def test_a_node_that_is_killed_half_way_loses_nothing(
    nodes: Cluster, cache: Path, model: Path, photos: list[Path], tmp_path: Path
) -> None:
    """Nothing is lost or doubled; the rows of LiteRT there are those of TensorFlow here.

    The last test: the cluster is broken afterwards.
    """
    (description,) = cache.glob("*.json")
    os.utime(description, (0, 0))
    network = cnnviz.load_model(model)
    run = runs.BatchRun(tmp_path / "there", pictures=False)
    task = cluster.WorkerTask(tmp_path, model, True, network.fingerprint, run)
    parts = runs.split(photos, [""] * len(photos), SIZE)
    runs.begin(run, network, parts, resume=False)
    (victim,) = [node for node in nodes.worker_nodes if node is not nodes.head_node]
    order, killed_at = [], 0
    for result in cluster.explain_parts(nodes.address, task, parts):
        order.append(result)
        both = len({there.node for there in order}) == 2
        if not killed_at and ((len(order) >= PARTS // 4 and both) or len(order) >= PARTS // 2):
            nodes.remove_node(victim, allow_graceful=False)
            killed_at = len(order)
    assert PARTS // 4 <= killed_at < PARTS
    # A worker that uses a conversion sets its time.
    assert description.stat().st_mtime > 0
    assert Counter(result.part.number for result in order) == Counter(range(PARTS))
    assert order[-1].node == nodes.head_node.node_id
    rows = rows_in(run.out)
    assert [row["file"] for row in rows] == [str(path) for path in photos]
    here = runs.BatchRun(tmp_path / "here", pictures=False)
    for part in parts:
        list(runs.explain_part(network, here, part))
    assert_same_rows(rows, rows_in(here.out))
    assert len(list(run.results.glob("part-*.parquet"))) == PARTS
