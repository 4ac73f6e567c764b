"""A batch run on a Ray cluster: Ray Data distributes its parts to the workers.

Each part is a task: if its worker or machine dies, it is done again elsewhere, by Ray's default
at most three times, and replaces its own file. An actor would be tied to one machine: when a
machine of a full cluster died, Ray Data aborted the run. A worker is a process that does one
task after another, so it keeps the network in memory.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz.batch.runs import BatchRun, Part, explain_part
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.networks.keras_start import around_start
from cnnviz.networks.loading import load_model
from cnnviz.networks.network import Network
from cnnviz.settings import ROOT


@dataclass(frozen=True)
class WorkerTask:
    """What every worker needs to explain a part.

    Attributes:
        folder: the folder that paths are relative to.
        model: the model's file.
        trusted: as in ``load_model``.
        fingerprint: of the model's file, so that all workers have the same one.
        run: the settings of the batch run.
        preset: as in ``load_model``.
    """

    folder: Path
    model: Path
    trusted: bool
    fingerprint: str
    run: BatchRun
    preset: str | None = None


@dataclass(frozen=True)
class PartResult:
    """A finished part, and the id of the cluster's node that did it."""

    part: Part
    node: str


def explain_parts(address: str, task: WorkerTask, parts: list[Part]) -> Iterator[PartResult]:
    """Explains the parts of a run on a Ray cluster; yields each as soon as it is done.

    All machines reach the model, the photos and the folder for the results by the same paths,
    and have cnnviz with the same packages. Each processor of the cluster is a worker.

    Args:
        address: of the cluster, as ``ray.init`` takes it; ``local`` starts one on this machine.
        task: what every worker needs.
        parts: the parts.

    Raises:
        CnnvizError: Ray is not installed, there is no cluster, or a part cannot be done.
    """
    if importlib.util.find_spec("ray") is None:
        raise CnnvizError(
            "Ray is not installed. Install it beside cnnviz: pip install -r requirements-ray.txt"
        )
    import ray.data

    by_number = {part.number: part for part in parts}
    with _connected(address):
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        items = ray.data.from_items([_pack(part) for part in parts], override_num_blocks=len(parts))
        results = items.map(functools.partial(_explain, task), num_cpus=1)
        # A finished part is passed on at once, and not when the next one is finished.
        for batch in results.iter_batches(batch_size=None, prefetch_batches=0):
            for number, node, error in zip(
                batch["number"], batch["node"], batch["error"], strict=True
            ):
                if error:
                    raise CnnvizError(str(error))
                part = by_number[int(number)]
                if not part.file(task.run).exists():
                    raise CnnvizError(
                        f"A worker wrote {part.file(task.run).name}, but it is not here: all "
                        f"machines must share the folder {task.run.out}."
                    )
                yield PartResult(part, str(node))


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """The connection to a cluster; Ray's own errors become errors of cnnviz."""
    import ray

    # Ray's workers import from the folder in which it is started: in a checkout, cnnviz itself.
    try:
        with chdir(ROOT):
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise CnnvizError(
            f"There is no Ray cluster at {address!r} that this process can join. Name one as "
            "host:port, or 'auto' on one of its machines, or 'local' for a new one here."
        ) from error
    try:
        yield
    except ray.exceptions.RayError as error:
        raise CnnvizError(
            f"The cluster aborted the run: {type(error).__name__}. See its own logs for the reason."
        ) from error
    finally:
        ray.shutdown()


def _pack(part: Part) -> dict[str, Any]:
    """A part as an item of Ray Data; in bytes, since a file's name need not be valid text."""
    return {
        "number": part.number,
        "paths": [os.fsencode(path) for path in part.paths],
        "stems": [os.fsencode(stem) for stem in part.stems],
    }


def _explain(task: WorkerTask, item: dict[str, Any]) -> dict[str, Any]:
    """Explains a part in a worker."""
    import ray

    os.chdir(task.folder)
    part = Part(
        int(item["number"]),
        tuple(Path(os.fsdecode(path)) for path in item["paths"]),
        tuple(os.fsdecode(stem) for stem in item["stems"]),
    )
    error = ""
    try:
        network = _network(task.model, task.trusted, task.preset, task.fingerprint)
        for _ in explain_part(network, task.run, part):
            pass
    except CnnvizError as reason:
        error = str(reason)
    node = ray.get_runtime_context().get_node_id()
    return {"number": part.number, "node": node, "error": error}


@functools.cache
def _network(model: Path, trusted: bool, preset: str | None, fingerprint: str) -> Network:
    """The network, loaded once in each worker."""
    # A worker has one of the machine's processors.
    os.environ["CNNVIZ_THREADS"] = "1"
    around_start(_starting_keras)
    network = load_model(model, trusted=trusted, preset=preset)
    if network.fingerprint != fingerprint:
        raise ModelError(f"{model} is not the same file on all machines.")
    return network


@contextmanager
def _starting_keras() -> Iterator[None]:
    """What a worker does around the import of TensorFlow, if it has a network for that."""
    yield
    import tensorflow as tf

    from cnnviz.networks.engines.tensorflow import turn_off_rewriting

    tf.config.threading.set_intra_op_parallelism_threads(1)
    turn_off_rewriting()
