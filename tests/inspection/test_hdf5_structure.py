"""The structure of HDF5 files: what Keras and h5py write passes, damaged files end no process."""

from __future__ import annotations

import io
import mmap
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from corpus import networks as n

from cnnviz.errors import RefusedModelError
from cnnviz.inspection import hdf5_bytes
from cnnviz.inspection.hdf5_structure import check_structure
from scripts.fuzz_gate import fuzz

ROOT = Path(__file__).resolve().parents[2]


def check(data: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        check_structure(file)


def code_of(data: bytes) -> str:
    with pytest.raises(RefusedModelError) as caught:
        check(data)
    return caught.value.code


def weights_of(data: bytes) -> bytes:
    if not data.startswith(b"PK"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("model.weights.h5")


# --- What passes ------------------------------------------------------------------------------


def test_every_file_of_keras_2_and_every_shipped_model_passes() -> None:
    count = 0
    with tarfile.open(ROOT / "tests" / "corpus" / "keras2" / "models.tar.xz") as files:
        for member in files:
            if content := files.extractfile(member):
                check(weights_of(content.read()))
                count += 1
    for path in (ROOT / "models").glob("*.keras"):
        check(weights_of(path.read_bytes()))
    assert count > 1_000


def everything(file: h5py.File) -> None:
    """What h5py writes by default, with more than one node, block and heap of each kind."""
    for index in range(700):
        group = file.create_group(f"group{index % 9}/layer{index}")
        group.attrs["weight_names"] = np.array([b"kernel:0", b"bias:0"])
        group["kernel"] = np.ones((2, index % 5), "f4")
    file.attrs["text"] = "x" * 60_000
    file.attrs["texts"] = ["", "ä", "z" * 9_000]
    file.attrs["empty"] = []
    file.attrs["nothing"] = h5py.Empty("f4")
    file.attrs["truth"] = True
    for index in range(200):
        file.attrs[f"attribute{index}"] = "y" * index
    for name, dtype in {"half": "f2", "truth": "?", "bfloat16": "V2", "long": "i8"}.items():
        file[name] = np.zeros((3, 2), dtype)
    file["number"] = 3.0
    file["none"] = np.zeros((0, 4))
    file.create_dataset("packed", data=np.ones((90, 90)), chunks=(3, 3), compression="gzip")
    file.create_dataset("growing", (5,), maxshape=(None,), shuffle=True)
    del file["group3/layer3"]
    file["group3/again"] = np.ones(3)


def test_what_h5py_writes_by_default_passes() -> None:
    check(n.hdf5(everything))


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("libver", ["v108", "v110", "latest", ("earliest", "v108")])
def test_only_files_of_the_oldest_format_pass(libver: Any) -> None:
    if libver == ("earliest", "v108"):
        check(n.hdf5(everything, libver))
        return
    assert code_of(n.hdf5(everything, libver)) == "odd-hdf5"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data[:-1], "damaged-weights"),
        (lambda data: data[:200], "damaged-weights"),
        (lambda data: b"", "damaged-weights"),
        (lambda data: bytes(512) + data, "damaged-weights"),
        (lambda data: data[:8] + b"\2" + data[9:], "odd-hdf5"),
        (lambda data: data[:13] + b"\4" + data[14:], "damaged-weights"),
        (lambda data: data[:64] + struct.pack("<Q", 2**63) + data[72:], "damaged-weights"),
        (lambda data: data[:72] + struct.pack("<L", 2) + data[76:], "soft-link"),
    ],
    ids=["cut", "start", "empty", "user-block", "version", "addresses", "far", "link"],
)
def test_a_changed_superblock_is_refused(change: Callable[[bytes], bytes], code: str) -> None:
    assert code_of(change(n.weights())) == code


def header_of_root(data: bytes) -> tuple[int, int]:
    """The addresses of the root's object header, and of the group's tree."""
    header, tree = struct.unpack_from("<Q", data, 64)[0], struct.unpack_from("<Q", data, 80)[0]
    return header, tree


def test_a_tree_that_leads_to_itself_is_refused() -> None:
    data = bytearray(n.weights())
    _, tree = header_of_root(bytes(data))
    data[tree + 5] = 1
    struct.pack_into("<Q", data, tree + 32, tree)
    assert code_of(bytes(data)) == "damaged-weights"


def test_a_header_that_goes_on_in_itself_is_refused() -> None:
    data = bytearray(n.weights())
    header, _ = header_of_root(bytes(data))
    struct.pack_into("<HHBxxxQQ", data, header + 16, 16, 16, 0, header + 16, 24)
    assert code_of(bytes(data)) == "damaged-weights"


def test_a_group_that_holds_itself_is_refused() -> None:
    def fill(file: h5py.File) -> None:
        file.create_group("a")["b"] = file

    assert code_of(n.hdf5(fill)) == "shared-storage"


def test_parts_are_counted() -> None:
    with mmap.mmap(-1, 8) as data:
        image = hdf5_bytes.Image(data, left=3)
        image.spend(3)
        with pytest.raises(RefusedModelError) as caught:
            image.spend(1)
    assert caught.value.code == "too-many-arrays"


# --- Random damage ----------------------------------------------------------------------------


def test_2000_damaged_files_end_no_process() -> None:
    """A quarter is in the newest format, of which some end a process without the check."""
    report = fuzz(0, 2_000)
    assert (report.crashes, report.hangs, report.wrong) == ({}, [], [])
    assert sum(report.verdicts.values()) == 2_000
    assert report.verdicts["odd-hdf5"] > 300
    assert report.verdicts["accepted"] > 50
