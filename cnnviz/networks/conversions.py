"""Networks converted for LiteRT, kept in the user's cache folder by the content of the model.

An entry is three files: a description in JSON, and two networks: one that gives the scores and the
last maps, and one that gives the maps of every layer, in which nothing can be left out and which
therefore needs more time and memory. The description is written last and has the SHA-256 of the
other two, so an entry is complete or it is none. ``engines.conversion`` makes them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import platform
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from cnnviz.cards import ModelCard
from cnnviz.errors import StorageError
from cnnviz.networks.structure import ModelStructure
from cnnviz.networks.values import GraphFacts, View
from cnnviz.networks.weight_files import StoredWeights
from cnnviz.networks.weights import LayerWeights
from cnnviz.settings import cache_folder
from cnnviz.storage import (
    UNFINISHED,
    FileIdentity,
    check_owner,
    check_private,
    hash_file,
    identity_of,
    make_private,
    read_small_file,
    write_whole,
)

# To be raised with each change of what is in an entry, of how it is made, or of what cnnviz reads
# from a model for it: structure, head, scaling, topology.
_FORMAT = 4
# What made an entry, and what runs it: another version of any of them makes another entry.
_PACKAGES = ("ai-edge-litert", "keras", "tensorflow", "tensorflow-cpu")
# All entries together; the one that was used longest ago goes first.
_MAX_BYTES = 4 << 30
# A file that another process still writes is younger.
_ABANDONED_SECONDS = 3600
# The largest description: that of a network of 250 layers has 75 KB.
_MAX_DESCRIPTION = 8 << 20
# The names that entries have. The folder may hold other files, which belong to somebody else.
_OUR_FILE = re.compile(r"[0-9a-f]{40}-[0-9a-f]{16}\.(json|[0-9a-f]{16}\.tflite)")
_OUR_UNFINISHED = re.compile(UNFINISHED.replace(".", r"\.").replace("*", "[0-9a-f]{32}"))

_log = logging.getLogger(__name__)


class LostConversionError(Exception):
    """A file of a conversion is gone, or LiteRT cannot run it here."""


@dataclass(frozen=True)
class LiteNetwork:
    """One file for LiteRT.

    Attributes:
        sha256: of the file.
        size: of the file, in bytes.
        input: index of the tensor for the picture (1, h, w, C).
        values: index of the tensor of each value: ``output``, ``logits`` and ``features`` as in
            ``PassValues``, where there are such.
        layers: the same of each layer's output, by its path.
        memory: bytes that all these tensors take.
    """

    sha256: str
    size: int
    input: int
    values: dict[str, int]
    layers: dict[str, int]
    memory: int


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model, so that neither Keras nor TensorFlow must open it.

    Attributes:
        structure: layers, shapes and outputs.
        parameters: how many there are, and how many of them a training would change.
        damaged: paths of the layers that hold a weight that is not a number.
        scaling: what ``input_scaling.find_scaling`` found.
        inputs: paths of the layers whose output is the picture itself.
        weights: where the weights of each layer that has some are in the file.
        graph: how the network ends, and which convolution made which maps.
    """

    structure: ModelStructure
    parameters: tuple[int, int]
    damaged: tuple[str, ...]
    scaling: str | None
    inputs: tuple[str, ...]
    weights: dict[str, StoredWeights]
    graph: GraphFacts


@dataclass(frozen=True)
class Conversion:
    """The description of an entry.

    Attributes:
        view: the part of the card that it was made for.
        facts: what is known of the model.
        scores: the network that gives the scores and the last maps.
        maps: the network that gives the output of every layer.
        difference: the largest one from TensorFlow, as a share of an output's largest value.
    """

    view: View
    facts: ModelFacts
    scores: LiteNetwork
    maps: LiteNetwork
    difference: float


@dataclass(frozen=True)
class Refusal:
    """The description of a model that cannot be converted, so that it is not tried again."""

    reason: str


@dataclass(frozen=True)
class Converted:
    """A conversion and its files.

    Attributes:
        view: the part of the card that it was made for.
        facts: what is known of the model.
        scores: the file and the network that gives the scores and the last maps.
        maps: the file and the network that gives the output of every layer.
        model: the file of the model itself.
        difference: as in ``Conversion``.
        identity: of the model's file when it was hashed: no other one has these weights. None
            where nobody else has the file.
        kept: weights of the dense layers at the end, once they were read.
    """

    view: View
    facts: ModelFacts
    scores: tuple[Path, LiteNetwork]
    maps: tuple[Path, LiteNetwork]
    model: Path
    difference: float
    identity: FileIdentity | None = None
    kept: dict[str, LayerWeights] = field(default_factory=dict, compare=False, repr=False)


def find(path: Path, fingerprint: str, card: ModelCard | None) -> Converted | Refusal | None:
    """The conversion of a model file, if there is one that is whole.

    Args:
        path: the model's file.
        fingerprint: its SHA-256.
        card: the card beside it; None without one.

    Returns:
        The conversion, the reason why there cannot be one, or None: also where LiteRT is not
        installed, which has no package for some systems.
    """
    if importlib.util.find_spec("ai_edge_litert") is None:
        return None
    name = _name(fingerprint, card)
    try:
        description = folder() / f"{name}.json"
        if not description.exists():
            return None
        check_private(folder())
        check_owner(description)
        found = _descriptions().validate_json(read_small_file(description, _MAX_DESCRIPTION))
        if isinstance(found, Refusal):
            _log.info("TensorFlow runs %s: %s", path.name, found.reason)
            return found
        networks = found.scores, found.maps
        files = [_file(name, network.sha256) for network in networks]
        for file, network in zip(files, networks, strict=True):
            check_owner(file)
            if not is_whole(file, network):
                raise ValueError("a file is not the one that the description names")
        if card is not None and not _fits(found.view, card):
            raise ValueError("the description is that of another card")
        # The time of its last use; in a folder that cannot be written nothing is ever removed.
        with suppress(OSError):
            description.touch()
    except (OSError, StorageError, ValueError) as error:
        # Pydantic's text goes on with what it read.
        _warn(path, str(error).partition("\n")[0])
        return None
    scores, maps = zip(files, networks, strict=True)
    return Converted(found.view, found.facts, scores, maps, path, found.difference)


def is_whole(file: Path, network: LiteNetwork) -> bool:
    """Whether a file is there and the one of a conversion.

    It is read once by this process, and again only if it is another one since: LiteRT maps it into
    memory, where a copy of the bytes that were hashed would take as much memory again.

    Raises:
        OSError: it cannot be read.
    """
    return file.is_file() and _sha256(file, identity_of(file.stat())) == network.sha256


@functools.lru_cache(maxsize=256)
def _sha256(file: Path, _identity: FileIdentity) -> str:
    return hash_file(file).sha256


@functools.lru_cache(maxsize=256)
def _warn(path: Path, reason: str) -> None:
    """Logs a warning once: a server looks for a conversion at each question."""
    _log.warning("The conversion of %s in the cache is not used: %s", path.name, reason)


def _fits(view: View, card: ModelCard) -> bool:
    """Whether a conversion was made for the part of a card that a run depends on."""
    size = card.preprocessing
    same_output = card.output in {None, view[0]}
    return same_output and view[1:] == (size.height, size.width, size.channels)


def store(
    fingerprint: str, card: ModelCard | None, conversion: Conversion, scores: bytes, maps: bytes
) -> None:
    """Writes an entry, and removes old ones where all together are too large.

    Raises:
        StorageError: the folder cannot be written, other users may write in it, or the disk is
            full.
    """
    make_private(folder())
    name = _name(fingerprint, card)
    # Two processes may make the same entry: named by their content, no file replaces another one.
    write_whole(_file(name, conversion.scores.sha256), scores)
    write_whole(_file(name, conversion.maps.sha256), maps)
    _describe(name, conversion)
    _remove_old(keep=name)


def refuse(fingerprint: str, card: ModelCard | None, reason: str) -> None:
    """Notes that a model cannot be converted, until the versions change.

    Raises:
        StorageError: as of ``store``.
    """
    make_private(folder())
    _describe(_name(fingerprint, card), Refusal(reason))


def folder() -> Path:
    """The folder of the entries.

    Raises:
        StorageError: the system does not know the user's home; ``CNNVIZ_CACHE`` is not set.
    """
    return cache_folder()


@functools.cache
def _descriptions() -> TypeAdapter[Conversion | Refusal]:
    return TypeAdapter(Conversion | Refusal)


def _name(fingerprint: str, card: ModelCard | None) -> str:
    """The name of an entry's files without their endings."""
    view = None
    if card is not None:
        size = card.preprocessing
        view = [card.output, size.height, size.width, size.channels]
    made_with = json.dumps([_FORMAT, _versions(), platform.machine(), view])
    return f"{fingerprint[:40]}-{hashlib.sha256(made_with.encode()).hexdigest()[:16]}"


@functools.cache
def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _file(name: str, sha256: str) -> Path:
    return folder() / f"{name}.{sha256[:16]}.tflite"


def _describe(name: str, description: Conversion | Refusal) -> None:
    write_whole(folder() / f"{name}.json", _descriptions().dump_json(description))


def _remove_old(keep: str) -> None:
    """Removes the entries that were used longest ago until the others fit, and what was abandoned.

    Another process may remove the same ones at the same time.
    """
    with suppress(OSError):
        ours = [file for file in folder().iterdir() if _OUR_FILE.fullmatch(file.name)]
        unfinished = [file for file in folder().iterdir() if _OUR_UNFINISHED.fullmatch(file.name)]
        # The description first: without it the others are no entry.
        files = {file.stem: [file] for file in ours if file.suffix == ".json"}
        for file in (*(file for file in ours if file.suffix != ".json"), *unfinished):
            name = file.name.partition(".")[0]
            if name in files:
                files[name].append(file)
            elif time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                file.unlink(missing_ok=True)
        sizes = {name: sum(file.stat().st_size for file in files[name]) for name in files}
        for name in sorted(files, key=lambda name: files[name][0].stat().st_mtime):
            if sum(sizes.values()) > _MAX_BYTES and name != keep:
                del sizes[name]
                for file in files[name]:
                    file.unlink(missing_ok=True)
