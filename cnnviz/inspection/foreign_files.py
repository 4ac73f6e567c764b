"""What a file is that is no Keras model, by its first bytes, by its name, or by what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

# Enough for every mark below, also where a file of text begins with remarks.
_START: Final = 4096

# How a file begins, and the code of `refusals` for it.
_STARTS: Final = (
    (re.compile(rb"version https://git-lfs\.github\.com/spec/"), "lfs-pointer"),
    (re.compile(rb"....TFL3", re.DOTALL), "tflite"),
    # The length of a list in JSON, as eight bytes.
    (re.compile(rb".{5}\0{3}\{\s*\"", re.DOTALL), "safetensors"),
    # Pickles of protocol 2 to 5: PyTorch's older files begin so.
    (re.compile(rb"\x80[\x02-\x05]"), "pickle"),
    # Protobuf messages: the second field of a SavedModel is a message, that of ONNX a text.
    (re.compile(rb"\x08\x01\x12[\x80-\xff]*[\0-\x7f]\x0a"), "saved-model"),
    (re.compile(rb"\x08[\x01-\x20](\x12[\x01-\x40][ -~]|:|B)"), "onnx"),
    (re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE), "web-page"),
    (re.compile(rb"\s*\{.*\"(modelTopology|weightsManifest)\"", re.DOTALL), "tensorflow-js"),
    (re.compile(rb"\s*\{.*\"class_name\"", re.DOTALL), "layers-only"),
    # Gzip, bzip2, xz, 7-Zip, RAR.
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!"), "other-archive"),
)
_ENDINGS: Final = {
    ".tflite": "tflite",
    ".lite": "tflite",
    ".onnx": "onnx",
    ".pt": "pickle",
    ".pth": "pickle",
    ".ckpt": "pickle",
    ".pkl": "pickle",
    ".safetensors": "safetensors",
    ".pb": "saved-model",
    ".tar": "other-archive",
}


def code_of(path: Path) -> str:
    """The code of ``refusals`` for something that is neither HDF5 nor a ZIP archive."""
    if path.is_dir():
        return "saved-model" if (path / "saved_model.pb").exists() else "folder"
    if not path.is_file():
        return "not-a-model"
    with path.open("rb") as file:
        start = file.read(_START)
    for pattern, code in _STARTS:
        if pattern.match(start):
            return code
    return _ENDINGS.get(path.suffix.lower(), "not-a-model") if start else "not-a-model"


def code_of_archive(names: Iterable[str]) -> str:
    """The code for a ZIP archive without a Keras model, by the names in it."""
    paths = [PurePosixPath(name.lower()) for name in names]
    if any(path.name == "data.pkl" for path in paths):
        return "pickle"
    if any(path.name == "model.json" for path in paths):
        return "tensorflow-js"
    codes = (_ENDINGS[path.suffix] for path in paths if path.suffix in _ENDINGS)
    return next(codes, "no-model-inside")


def is_of_keras_1(version: str, description: str) -> bool:
    """Whether an HDF5 file was saved by Keras 1, which had other names for layers and settings."""
    return version.startswith("1.") or '"nb_filter"' in description
