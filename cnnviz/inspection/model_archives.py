"""A ZIP archive with one model inside, such as ``converted_keras.zip`` of Teachable Machine.

A ``.keras`` file is a ZIP archive as well: one that holds the model's own parts.
"""

from __future__ import annotations

import codecs
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from cnnviz.errors import RefusedModelError
from cnnviz.inspection import archive, foreign_files
from cnnviz.inspection.limits import MAX_FILE_BYTES, MAX_LABELS_BYTES
from cnnviz.inspection.refusals import REASONS, refusal, refusing

SIGNATURE: Final = b"PK\x03\x04"
_LABELS: Final = "labels.txt"
_ENDINGS: Final = (".keras", ".h5", ".hdf5")
_MAX_ENTRIES: Final = 2_000
_MAX_DIRECTORY_BYTES: Final = 1 << 19
# The most that the format allows; the archives that GitHub makes have one of 40 bytes.
_MAX_COMMENT_BYTES: Final = (1 << 16) - 1
# The header of a member, before its name: the length of the name is in it.
_HEADER: Final = struct.Struct("<26xH2x")
# Names that an error message lists at most, and their length.
_MOST_NAMES: Final = 5
_LONGEST_NAME: Final = 80


@dataclass(frozen=True)
class ModelInside:
    """A model's file, and the text of the ``labels.txt`` in its archive, "" without one."""

    path: Path
    labels: str = ""


@contextmanager
def model_inside(path: Path) -> Iterator[ModelInside]:
    """The one model in a ZIP archive, unpacked for as long as it is used; other files themselves.

    Raises:
        RefusedModelError: the archive is damaged or an attack, or holds no model or several.
    """
    if not _is_zip(path):
        yield ModelInside(path)
        return
    if path.stat().st_size > MAX_FILE_BYTES:
        raise refusal("too-large")
    with refusing("damaged-archive"):
        end = archive.read_end(path, _MAX_COMMENT_BYTES)
        if end.zip64:
            raise refusal(_code_of_zip64(path))
        archive.check_directory(end, _MAX_ENTRIES, _MAX_DIRECTORY_BYTES)
        members = zipfile.ZipFile(path)
    with members:
        if {archive.CONFIG, archive.WEIGHTS} & set(members.namelist()):
            yield ModelInside(path)
            return
        model = _find(members)
        labels = _read_labels(members)
        with tempfile.TemporaryDirectory(prefix="cnnviz-") as folder:
            target = Path(folder) / f"model{PurePosixPath(model.filename).suffix.lower()}"
            with target.open("wb") as copy:
                archive.copy_member(members, model.filename, copy)
            yield ModelInside(target, labels)


def _is_zip(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def _code_of_zip64(path: Path) -> str:
    """The code for an archive in the format ZIP64, by the name of its first member."""
    with path.open("rb") as file:
        (length,) = _HEADER.unpack(file.read(_HEADER.size))
        name = file.read(length).decode("utf-8", "replace")
    if name in archive.MEMBERS:
        return "damaged-archive"
    code = foreign_files.code_of_archive([name])
    return "zip64" if code == "no-model-inside" else code


def _find(members: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The archive's only model."""
    files = [member for member in members.infolist() if not member.is_dir()]
    for member in files:
        archive.check_name(member)
    # macOS adds a file of its own for each.
    files = [member for member in files if not _is_hidden(member.filename)]
    models = [member for member in files if member.filename.lower().endswith(_ENDINGS)]
    whole = [member for member in models if not member.filename.lower().endswith(".weights.h5")]
    found = whole or models
    if not found:
        raise refusal(foreign_files.code_of_archive(member.filename for member in files))
    if len(found) > 1:
        raise _several([member.filename for member in found])
    archive.check_member(found[0])
    return found[0]


def _is_hidden(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name.startswith(".") or path.parts[:1] == ("__MACOSX",)


def _several(names: list[str]) -> RefusedModelError:
    """The refusal of several models, by their names as far as these can be printed."""
    shown = [
        "".join(sign if sign.isprintable() else "\ufffd" for sign in name)[:_LONGEST_NAME]
        for name in names[:_MOST_NAMES]
    ]
    more = ", …" if len(names) > _MOST_NAMES else ""
    message = f"{REASONS['several-models']} It holds {', '.join(shown)}{more}."
    return RefusedModelError(message, "several-models")


def _read_labels(members: zipfile.ZipFile) -> str:
    """The text of the archive's ``labels.txt``; "" without one, or with several."""
    found = [
        member
        for member in members.infolist()
        if PurePosixPath(member.filename.replace("\\", "/")).name == _LABELS
        and not _is_hidden(member.filename)
    ]
    if len(found) != 1 or found[0].file_size > MAX_LABELS_BYTES:
        return ""
    archive.check_member(found[0])
    with refusing("damaged-archive"):
        return decode_labels(members.read(found[0]))


def decode_labels(data: bytes) -> str:
    """The text of a ``labels.txt``: UTF-8, UTF-16 with its mark, or else Windows-1252."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
