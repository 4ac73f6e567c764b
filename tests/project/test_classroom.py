"""What benchmarks/classroom.py detects and reports."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.classroom import LoadTest, mix_ups, photos, report, usage
from scripts.process_list import Process


def test_a_session_that_shows_its_own_photo_has_no_mix_up() -> None:
    owners: dict[str, str] = {}
    for _ in range(2):
        assert mix_ups("a.jpg", ["a.jpg  \nYour photo", "more"], ["/media/1"], owners) == []
    assert owners == {"/media/1": "a.jpg"}


def test_another_session_s_name_or_picture_is_a_mix_up() -> None:
    owners = {"/media/1": "a.jpg"}
    assert mix_ups("b.jpg", ["a.jpg  \nYour photo"], ["/media/2"], owners) == [
        "the session of b.jpg was shown ['a.jpg  \\nYour photo']"
    ]
    assert mix_ups("b.jpg", ["b.jpg  \nYour photo"], ["/media/1"], owners) == [
        "the session of b.jpg was shown a picture of a.jpg"
    ]
    assert mix_ups("b.jpg", [], [], owners) == ["the session of b.jpg was shown []"]


def test_no_two_photos_are_alike() -> None:
    assert len(set(photos(4))) == 4


def test_the_processes_of_a_session_are_found_with_their_memory() -> None:
    code = "import sys; kept = bytearray(200_000_000); print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, "cnnviz.ui"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        processes = usage(process.pid)
        process.communicate(b"")
    assert list(processes) == [f"web process, {process.pid}"]
    assert 200 < processes[f"web process, {process.pid}"].megabytes < 300
    assert f"web process, {os.getpid()}" not in processes


def test_the_report_names_missed_goals(capsys: pytest.CaptureFixture[str]) -> None:
    test = LoadTest(0, iter([]), problems=["the connection was lost"] * 2)
    test.seconds["open the app"] = [0.1] * 90 + [0.9] * 10
    test.seconds["browser: open the app"] = [5.0]
    sizes = (100, 100, 120)
    report(test, [{"worker, 7": Process(7, 1, 1, "", size, size / 10)} for size in sizes])
    printed = capsys.readouterr().out
    assert "| all steps of the sessions | 100 | 0.10 s | 0.90 s | 0.90 s | 0.90 s |" in printed
    assert "| worker, 7 | 100 MB | 100 MB | 120 MB | 2 s |" in printed
    # 2 s for 100 steps of sessions and one of a browser.
    assert "20 ms of processor time for each step: worker, 7." in printed
    assert "Problems: 2, goal none: missed." in printed
    assert "p95 of the sessions: 0.90 s, goal ≤ 0.35 s: missed." in printed
    assert "Memory, end ÷ 1 min: 1.20, goal ≤ 1.05: missed." in printed
    assert "- 2 × the connection was lost" in printed
