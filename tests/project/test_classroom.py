"""What benchmarks/classroom.py notices."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.classroom import Lesson, foreign, photos, report, usage
from scripts.process_list import Process


def test_a_session_that_is_shown_its_own_photo_is_in_order() -> None:
    owners: dict[str, str] = {}
    for _ in range(2):
        assert foreign("a.jpg", ["a.jpg  \nYour photo", "more"], ["/media/1"], owners) == []
    assert owners == {"/media/1": "a.jpg"}


def test_another_session_s_name_or_picture_is_noticed() -> None:
    owners = {"/media/1": "a.jpg"}
    assert foreign("b.jpg", ["a.jpg  \nYour photo"], ["/media/2"], owners) == [
        "the session of b.jpg was shown ['a.jpg  \\nYour photo']"
    ]
    assert foreign("b.jpg", ["b.jpg  \nYour photo"], ["/media/1"], owners) == [
        "the session of b.jpg was shown a picture of a.jpg"
    ]
    assert foreign("b.jpg", [], [], owners) == ["the session of b.jpg was shown []"]


def test_no_two_photos_are_alike() -> None:
    assert len(set(photos(4))) == 4


def test_the_processes_of_a_session_are_found_with_their_memory() -> None:
    code = "import sys; kept = bytearray(200_000_000); print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, "cnnviz.ui"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = usage(process.pid)
        process.communicate(b"")
    assert list(found) == [f"web process, {process.pid}"]
    assert 200 < found[f"web process, {process.pid}"].megabytes < 300
    assert f"web process, {os.getpid()}" not in found


def test_the_report_tells_goals_that_are_missed(capsys: pytest.CaptureFixture[str]) -> None:
    lesson = Lesson(0, iter([]), problems=["the connection was lost"] * 2)
    lesson.seconds["open the app"] = [0.1] * 90 + [0.9] * 10
    lesson.seconds["browser: open the app"] = [5.0]
    sizes = (100, 100, 120)
    report(lesson, [{"worker, 7": Process(7, 1, 1, "", size, size / 10)} for size in sizes])
    told = capsys.readouterr().out
    assert "| all steps of the sessions | 100 | 0.10 s | 0.90 s | 0.90 s | 0.90 s |" in told
    assert "| worker, 7 | 100 MB | 100 MB | 120 MB | 2 s |" in told
    # 2 s for 100 steps of sessions and one of a browser.
    assert "20 ms of processor time for each step: worker, 7." in told
    assert "Problems: 2, goal none: missed." in told
    assert "p95 of the sessions: 0.90 s, goal ≤ 0.5 s: missed." in told
    assert "Memory, end ÷ 1 min: 1.20, goal ≤ 1.05: missed." in told
    assert "- 2 × the connection was lost" in told
