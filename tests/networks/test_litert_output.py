"""What LiteRT prints, and what of it is seen."""

from __future__ import annotations

import os

import pytest

from cnnviz.networks.engines import litert


def test_one_line_of_a_library_is_kept_back(capfd: pytest.CaptureFixture[str]) -> None:
    with litert._without_line(b"hello\n"):
        os.write(2, b"before\nhello\n")
        os.write(2, b"after\n")
    os.write(2, b"hello\n")
    assert capfd.readouterr().err == "before\nafter\nhello\n"


def test_an_error_in_between_leaves_the_output_as_it_was(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        with litert._without_line(b"hello\n"):
            os.write(2, b"hello\n")
            raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        fail()
    os.write(2, b"more\n")
    assert capfd.readouterr().err == "more\n"
