"""The processes of untrusted models, as the server sees them: pipes that carry bytes."""

from __future__ import annotations

import logging
import os
import pickle  # nosec B403
import select
import subprocess  # nosec B404
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any, cast

from cnnviz.errors import WorkerError
from cnnviz.sandbox.confinement import environment
from cnnviz.serving import temporary_folders, worker_process
from cnnviz.serving.model_files import ModelFile
from cnnviz.serving.untrusted_process import REQUEST_LENGTH
from cnnviz.serving.worker_process import WorkerCall
from cnnviz.settings import PACKAGE, Settings

# An untrusted model may need most of this for one answer.
SECONDS = 60
# For what does not depend on the model: the start of Python, and the import of TensorFlow.
START_SECONDS = 300

# Each thread of a confined process takes address space; an untrusted model need not have all cores.
_THREADS = 2
# What of its output is logged.
_MOST_LINES, _MOST_CHARACTERS = 500, 500

_log = logging.getLogger(__name__)


class UntrustedProcess:
    """One process, confined for good, which runs one untrusted model.

    Attributes:
        name: the model's path.
        model: the model.
        folder: for the process's temporary files; deleted when it is closed.
        waiting: how many callers wait for an answer.
    """

    untrusted = True
    # The first answer waits for the inspection of the file, too: the pages say that.
    starts_tensorflow = False

    def __init__(self, settings: Settings, model: ModelFile) -> None:
        """Starts the process.

        Raises:
            WorkerError: this system has no memory, or no process, left for it.
        """
        self.name = model.path
        self.model = model
        self.folder = temporary_folders.make("untrusted")
        self.waiting = 0
        self._settings = settings
        self._turn = threading.Lock()
        # Of the steps before the first answer those that are done, which are not repeated.
        self._is_confined = self._is_loaded = False
        try:
            self._process = _start(self.folder.name)
        except OSError as error:
            self.folder.cleanup()
            _log.warning("The process of an untrusted model cannot be started: %s", error)
            raise WorkerError(
                f"The process for this model cannot be started: {error.strerror}. "
                "Try again in a moment.",
                again=False,
            ) from error
        # All three are pipes, as asked for above.
        self._requests = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        # The process may stop reading and writing at any time.
        os.set_blocking(self._requests.fileno(), False)
        os.set_blocking(self._answers.fileno(), False)
        log = cast(IO[bytes], self._process.stderr), self._process.pid
        threading.Thread(target=_log_output, args=log, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def answer(self, question: WorkerCall, seconds: float | None = None) -> Any:
        """What the process answers.

        Args:
            question: what is called.
            seconds: how long the inspection of the file, and how long the answer may take, without
                the time in the queue and that for the start of the process; ``SECONDS`` if None.

        Raises:
            WorkerError: the process died, gave no answer in time, or none that can be read: it is
                of no more use.
            CnnvizError: whatever the function raises.
        """
        # Only here, as all results: the server starts with this module, and mostly without a model.
        from cnnviz.serving.answer_checks import answers_question
        from cnnviz.serving.answers import RESULTS

        seconds = SECONDS if seconds is None else seconds
        with self._turn:
            if not self._is_loaded:
                self._load(seconds)
            kind = RESULTS[question.function]
            result = self.ask(kind, worker_process.answer, question, seconds=seconds)
        if not answers_question(question, result):
            raise _unreadable(f"It is not about the question ({question.function}).")
        return result

    def _load(self, seconds: float) -> None:
        nothing = type(None)
        memory = self._settings.untrusted_gb << 30
        threads = self._settings.threads or _THREADS
        if not self._is_confined:
            start = worker_process.initialise_untrusted
            arguments = (memory, os.getpid(), self.folder.name, self.model)
            self.ask(nothing, start, *arguments, seconds=START_SECONDS)
            self._is_confined = True
        # A file that is refused is refused before TensorFlow is imported.
        self.ask(nothing, worker_process.inspect, self.model, seconds=seconds)
        self.ask(nothing, worker_process.import_tensorflow, threads, seconds=START_SECONDS)
        self._is_loaded = True

    def ask(self, kind: Any, function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """Calls a function in the process; the caller must be the only one.

        Args:
            kind: the type of what it returns, as in ``answers.RESULTS``.
            function: of a module that the process can import.
            arguments: of the function.
            seconds: how long to wait.

        Raises:
            WorkerError: as for ``answer``.
            CnnvizError: whatever the function raises.
        """
        from cnnviz.serving.answers import AnswerError, read_answer

        request = pickle.dumps((function, arguments), protocol=pickle.HIGHEST_PROTOCOL)
        end = time.monotonic() + seconds
        try:
            self._send(REQUEST_LENGTH.pack(len(request)) + request, end)
            return read_answer(lambda buffer: self._receive(buffer, end), kind)
        except TimeoutError as error:
            raise WorkerError.too_late(seconds) from error
        # A pipe that was closed, here or there.
        except (EOFError, OSError, ValueError) as error:
            raise WorkerError(
                "The process that runs this model stopped before it answered: the model "
                "needs more memory than there is for it, or its file is damaged."
            ) from error
        except AnswerError as error:
            raise _unreadable(error) from error

    def close(self) -> None:
        """Kills the process, and deletes its temporary files."""
        self._process.kill()
        self._process.wait()
        # A caller that waits for an answer sees the end of the pipe, and gives its turn back.
        with self._turn:
            self._requests.close()
            self._answers.close()
        self.folder.cleanup()

    def _send(self, data: bytes, end: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._requests, select.POLLOUT, end)
            rest = rest[os.write(self._requests.fileno(), rest) :]

    def _receive(self, buffer: memoryview, end: float) -> None:
        while buffer:
            _wait(self._answers, select.POLLIN, end)
            count = os.readv(self._answers.fileno(), [buffer])
            if count == 0:
                raise EOFError
            buffer = buffer[count:]


def _start(folder: str) -> subprocess.Popen[bytes]:
    # No shell; the arguments are constants.
    return subprocess.Popen(  # nosec B603
        [sys.executable, "-m", "cnnviz.serving.untrusted_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PACKAGE.parent,
        env=environment(folder),
    )


def _unreadable(reason: object) -> WorkerError:
    _log.warning("The answer of an untrusted model cannot be read: %s", reason)
    return WorkerError(
        "The process that runs this model gave an answer that cannot be read, so it was stopped.",
        again=False,
    )


def _wait(pipe: IO[bytes], event: int, end: float) -> None:
    """Waits until a pipe can be read or written, or has ended.

    Raises:
        TimeoutError: neither is so in time.
    """
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(max(0, end - time.monotonic()) * 1000):
        raise TimeoutError


def _log_output(output: IO[bytes], process: int) -> None:
    """Logs the first lines that a process prints, without control characters."""
    with output:
        for _ in range(_MOST_LINES):
            line = output.readline(_MOST_CHARACTERS)
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            printable = "".join(one if one.isprintable() else " " for one in text)
            _log.warning("Process %d of an untrusted model: %s", process, printable)
