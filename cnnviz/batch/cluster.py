"""A run over many photos on a Ray cluster: its parts are the items that Ray Data hands out.

Each part is a task: one whose worker or machine dies is done again elsewhere, three times at
most by Ray's own rule, and replaces its own file. An actor would be tied to its place: when a
machine of a full cluster died, Ray Data gave up the run. A worker is a process that does one
task after the other, so it keeps the network.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnviz.batch.runs import Job, Part, explain_part
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.networks.loading import load_model
from cnnviz.networks.network import Network
from cnnviz.settings import ROOT


@dataclass(frozen=True)
class Asked:
    """What every worker is told.

    Attributes:
        folder: the folder that paths are relative to.
        model: the model's file.
        trusted: as in ``load_model``.
        fingerprint: of the model's file, so that all workers have the same one.
        job: what is asked about every photo.
    """

    folder: Path
    model: Path
    trusted: bool
    fingerprint: str
    job: Job


@dataclass(frozen=True)
class Done:
    """A part that is done, and the id of the cluster's node that did it."""

    part: Part
    node: str


def explain_parts(address: str, asked: Asked, parts: list[Part]) -> Iterator[Done]:
    """Explains the parts of a run on a Ray cluster; each comes when it is done.

    All machines reach the model, the photos and the folder for the results by the same paths,
    and have cnnviz with the same packages. Each processor of the cluster is a worker.

    Args:
        address: of the cluster, as ``ray.init`` takes it; ``local`` starts one on this machine.
        asked: what every worker is told.
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
        done = items.map(_explain, fn_args=[asked], num_cpus=1)
        # A part that is done is handed out at once, and not when the next one is done.
        for batch in done.iter_batches(batch_size=None, prefetch_batches=0):
            for number, node, error in zip(
                batch["number"], batch["node"], batch["error"], strict=True
            ):
                if error:
                    raise CnnvizError(str(error))
                part = by_number[int(number)]
                if not part.file(asked.job).exists():
                    raise CnnvizError(
                        f"A worker wrote {part.file(asked.job).name}, but it is not here: all "
                        f"machines must share the folder {asked.job.out}."
                    )
                yield Done(part, str(node))


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """The connection to a cluster, with Ray's own errors in plain words."""
    import ray

    # Ray lets its workers import from the folder in which it is started.
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
            f"The cluster gave the run up: {type(error).__name__}. Its own logs say why."
        ) from error
    finally:
        ray.shutdown()


def _pack(part: Part) -> dict[str, Any]:
    """A part as an item of Ray Data; in bytes, since a file's name may be no text."""
    return {
        "number": part.number,
        "paths": [os.fsencode(path) for path in part.paths],
        "stems": [os.fsencode(stem) for stem in part.stems],
    }


def _explain(item: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """What a worker does with a part."""
    import ray

    os.chdir(asked.folder)
    part = Part(
        int(item["number"]),
        tuple(Path(os.fsdecode(path)) for path in item["paths"]),
        tuple(os.fsdecode(stem) for stem in item["stems"]),
    )
    error = ""
    try:
        network = _network(asked.model, asked.trusted, asked.fingerprint)
        for _ in explain_part(network, asked.job, part):
            pass
    except CnnvizError as reason:
        error = str(reason)
    node = ray.get_runtime_context().get_node_id()
    return {"number": part.number, "node": node, "error": error}


@functools.cache
def _network(model: Path, trusted: bool, fingerprint: str) -> Network:
    """The network, loaded once in each worker."""
    import tensorflow as tf

    # A worker has one of the machine's processors.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    network = load_model(model, trusted=trusted)
    if network.fingerprint != fingerprint:
        raise ModelError(f"{model} is not the same file on all machines.")
    return network
