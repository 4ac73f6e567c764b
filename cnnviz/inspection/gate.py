"""Inspects a model file before anything in it is loaded, and writes a copy that is safe to load.

`inspect_model` reads the archive, the description and the list of arrays with the standard
library and h5py alone, and refuses everything that a Keras model for pictures does not need.
`write_sanitised` then writes a new file of the checked content; Keras never opens the original.

h5py is native code: run both in a process with limits (``limited`` starts one), not in the web
process. How much memory a model needs when it runs is not checked here.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import h5py

from cnnviz.inspection import (
    archive,
    configs,
    foreign_files,
    hdf5_models,
    keras2,
    strict_json,
    weights,
)
from cnnviz.inspection.hdf5_structure import check_structure
from cnnviz.inspection.limits import MAX_FILE_BYTES, MAX_PARAMETERS
from cnnviz.inspection.model_archives import SIGNATURE, model_inside
from cnnviz.inspection.refusals import REASONS, refusal, refusing
from cnnviz.storage import HDF5_SIGNATURE

__all__ = ["REASONS", "Inspection", "inspect_inner_model", "inspect_model", "write_sanitised"]

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?[\w.+-]{0,20}")


@dataclass(frozen=True)
class Inspection:
    """What a model file holds.

    Attributes:
        format: "keras" for the archive of Keras 3, "hdf5" for the older single file.
        config: the rewritten description of the layers; it names only allowed layers.
        kinds: how many layers there are of each kind, nested ones included.
        parameters: values of all arrays, without those of the optimizer.
        keras_version: the version that wrote the file, "" where the file does not hold it.
        arrays: the paths of each layer's weights in an HDF5 file, by the layer's name, in order.
        inner: whether it is the model inside a file for several graphics cards.
        levelled: what was changed so that Keras 3 computes what the file means, in sentences.
        labels: the text of the ``labels.txt`` beside the model in a ZIP archive, "" without one.
    """

    format: Literal["keras", "hdf5"]
    config: dict[str, Any]
    kinds: Counter[str]
    parameters: int
    keras_version: str
    arrays: hdf5_models.Listing = field(default_factory=dict, repr=False)
    inner: bool = False
    levelled: tuple[str, ...] = ()
    labels: str = field(default="", repr=False)

    @property
    def suffix(self) -> str:
        """What the name of a copy must end with, so that Keras knows the format."""
        return {"keras": ".keras", "hdf5": ".h5"}[self.format]


def inspect_model(path: Path) -> Inspection:
    """Inspects a ``.keras`` or ``.h5`` file, or the one in a ZIP archive; names do not matter.

    Raises:
        RefusedModelError: the file is not safe to load, or not a model. The message is one
            sentence, holds nothing from the file, and `code` names the reason.
    """
    with model_inside(path) as model:
        if _format(model.path) == "hdf5":
            inspection = _inspect_hdf5(model.path, inner=False)
        else:
            inspection = _inspect_keras(model.path)
        return replace(inspection, labels=model.labels)


def inspect_inner_model(path: Path) -> Inspection:
    """Inspects the one real model inside a file that was saved for several graphics cards.

    Raises:
        RefusedModelError: the file is not one of those, or the model inside is not allowed.
    """
    with model_inside(path) as model:
        if _format(model.path) != "hdf5":
            raise refusal("not-a-model")
        return _inspect_hdf5(model.path, inner=True)


def write_sanitised(path: Path, inspection: Inspection, target: Path) -> None:
    """Writes a copy for ``keras.saving.load_model(target, compile=False, safe_mode=True)``.

    It holds the rewritten description and the model's arrays, and nothing else of the file: no
    optimizer, no settings of training, no attributes.

    Args:
        path: the file that was inspected.
        inspection: the result of the inspection; the description is taken from it, not from the
            file.
        target: the new file; its name ends with ``inspection.suffix``.

    Raises:
        RefusedModelError: the weights cannot be read, or the file has changed since.
        ValueError: the target's name does not end with ``inspection.suffix``.
    """
    if target.suffix != inspection.suffix:
        raise ValueError(f"The name of a {inspection.format} copy ends with {inspection.suffix}.")
    try:
        with model_inside(path) as model:
            if inspection.format == "keras":
                _write_keras(model.path, inspection, target)
            else:
                _write_hdf5(model.path, inspection, target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _format(path: Path) -> Literal["keras", "hdf5"]:
    """The format of a file by its first bytes."""
    if not path.is_file():
        raise refusal(foreign_files.code_of(path))
    if path.stat().st_size > MAX_FILE_BYTES:
        raise refusal("too-large")
    with path.open("rb") as file:
        start = file.read(len(HDF5_SIGNATURE))
    if start == HDF5_SIGNATURE:
        return "hdf5"
    if start.startswith(SIGNATURE):
        return "keras"
    raise refusal(foreign_files.code_of(path))


@contextmanager
def _open_hdf5(file: IO[bytes]) -> Iterator[h5py.File]:
    check_structure(file)
    with refusing("damaged-weights"):
        opened = h5py.File(file, "r")
    with opened:
        yield opened


def _version(text: Any) -> str:
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else ""


def _check_parameters(parameters: int, walk: configs.Walk) -> None:
    if parameters > MAX_PARAMETERS:
        raise refusal("too-many-parameters")
    if parameters == 0:
        raise refusal("no-weights")
    if walk.parameters > parameters:
        raise refusal("weights-missing")


def _inspect_keras(path: Path) -> Inspection:
    with archive.open_archive(path) as members:
        description = strict_json.parse(archive.read_text(members, archive.CONFIG))
        metadata = strict_json.parse(archive.read_text(members, archive.METADATA))
        version = _version(metadata.get("keras_version"))
        description, levelled = keras2.level(description, version, hdf5=False)
        walk = configs.Walk(legacy=False)
        config = configs.clean_model(description, walk)
        with archive.unpacked(members, archive.WEIGHTS) as file, _open_hdf5(file) as opened:
            survey = weights.survey(opened, members.getinfo(archive.WEIGHTS).file_size)
    parameters = survey.count(filter(_is_kept, survey.arrays))
    _check_parameters(parameters, walk)
    return Inspection("keras", config, walk.kinds, parameters, version, levelled=levelled)


def _inspect_hdf5(path: Path, *, inner: bool) -> Inspection:
    with path.open("rb") as opened, _open_hdf5(opened) as file:
        survey = weights.survey(file, path.stat().st_size)
        version = _version(weights.read_text(file, "keras_version"))
        text = _description(file, survey)
        if foreign_files.is_of_keras_1(version, text):
            raise refusal("keras-1")
        description = strict_json.parse(text)
        real = hdf5_models.inner_model(description)
        if inner and real is None:
            raise refusal("not-a-model")
        described, levelled = keras2.level(real or description, version, hdf5=True)
        walk = configs.Walk(legacy=True)
        config = configs.clean_model(described, walk)
        arrays = hdf5_models.listing(file, survey)
        if real:
            arrays = hdf5_models.inner_listing(real, arrays)
    parameters = survey.count(path for paths in arrays.values() for path in paths)
    _check_parameters(parameters, walk)
    # The model inside was checked before: where it is refused, its own reason is more specific.
    if real and not inner:
        raise refusal("multi-gpu")
    return Inspection("hdf5", config, walk.kinds, parameters, version, arrays, inner, levelled)


def _description(file: h5py.File, survey: weights.Survey) -> str:
    text = weights.read_text(file, "model_config")
    if not text:
        raise refusal("weights-only" if survey.arrays else "not-a-model")
    return text


# --- The copy ---------------------------------------------------------------------------------


def _write_keras(path: Path, inspection: Inspection, target: Path) -> None:
    with tempfile.TemporaryFile() as copied:
        with (
            archive.open_archive(path) as members,
            archive.unpacked(members, archive.WEIGHTS) as unpacked,
            _open_hdf5(unpacked) as source,
            h5py.File(copied, "w") as copy,
        ):
            survey = weights.survey(source, members.getinfo(archive.WEIGHTS).file_size)
            for group in filter(_is_kept, survey.groups):
                copy.require_group(group)
            for name in filter(_is_kept, survey.arrays):
                weights.copy_array(source[name], copy, name)
        copied.seek(0)
        with zipfile.ZipFile(target, "w") as written:
            written.writestr(archive.CONFIG, json.dumps(inspection.config))
            written.writestr(archive.METADATA, json.dumps({"keras_version": "3.0.0"}))
            with written.open(archive.WEIGHTS, "w", force_zip64=True) as member:
                shutil.copyfileobj(copied, member)


def _is_kept(name: str) -> bool:
    """Whether an array belongs to the model, and not to the state of the optimizer."""
    return name.partition("/")[0] != "optimizer"


def _write_hdf5(path: Path, inspection: Inspection, target: Path) -> None:
    with (
        path.open("rb") as opened,
        _open_hdf5(opened) as source,
        h5py.File(target, "w") as copy,
    ):
        survey = weights.survey(source, path.stat().st_size)
        listed = {name for names in inspection.arrays.values() for name in names}
        if not listed <= survey.arrays.keys():
            raise refusal("damaged-weights")
        hdf5_models.write(source, copy, inspection.config, inspection.arrays)
