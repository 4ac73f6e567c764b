"""The process of a training job, as the server sees it: started, and killed where it is stuck."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess  # nosec B404
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from cnnviz.sandbox.confinement import environment, protect_memory
from cnnviz.settings import PACKAGE

if TYPE_CHECKING:
    from cnnviz.serving.training_jobs import TrainingJob

# A training takes so long at most; its process sees to that itself.
MOST_SECONDS = 3600
# A process that has shown no sign of life for so long is stuck, and is killed once it has been
# asked to end for so long, too.
SILENT_SECONDS = 30
# One that shows life, and does not end so long after it should have, is killed as well.
OVERDUE_SECONDS = 600
# One that shows no sign of life for so long keeps all others from training, and is killed without
# being asked. A busy machine, and the import of TensorFlow, take a small part of it.
STUCK_SECONDS = 300

_log = logging.getLogger(__name__)


def start_process(job: TrainingJob) -> subprocess.Popen[bytes]:
    """Starts the process of a job, which confines itself."""
    protect_memory()
    job.temporary.mkdir()
    with (job.folder / "log.txt").open("wb") as log:
        # No shell; the arguments are a folder of this server and the id of this process.
        return subprocess.Popen(  # nosec B603
            [
                sys.executable,
                "-m",
                "cnnviz.serving.training_process",
                str(job.folder),
                str(os.getpid()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=PACKAGE.parent,
            env=environment(job.temporary),
        )


def look_after(process: subprocess.Popen[bytes], job: TrainingJob) -> None:
    """Waits for the end of a process, or ends it where it is stuck; then deletes what it left."""
    reason = _wait_for_end(process, job)
    job.delete_upload()
    shutil.rmtree(job.temporary, ignore_errors=True)
    if not job.folder.exists() or not job.reported_status().is_active:
        return
    if reason:
        job.report(replace(job.reported_status(), state="stopped", message=reason))
    log = job.folder / "log.txt"
    _log.warning("A training process ended without a final status; its log: %s", log)


def _wait_for_end(process: subprocess.Popen[bytes], job: TrainingJob) -> str:
    """Waits for the end of a process, kills it where it is stuck, and returns why; "" if not."""
    kept = "The epochs that were finished can still be looked at."
    start = last_change = time.monotonic()
    asked, sign = float("inf"), None
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return ""
        now = time.monotonic()
        if job.last_sign_of_life() != sign:
            last_change, sign = now, job.last_sign_of_life()
        if job.is_stop_requested():
            asked = min(asked, now)
        silent = min(now - last_change, now - asked) > SILENT_SECONDS
        if silent or now - min(asked, start + MOST_SECONDS) > OVERDUE_SECONDS:
            _kill(process)
            return f"The process that trained did not end when it was to, so it was stopped. {kept}"
        if now - last_change > STUCK_SECONDS:
            _kill(process)
            return (
                "The process that trained had shown no sign of life for "
                f"{STUCK_SECONDS // 60} minutes, so it was stopped. {kept}"
            )


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
