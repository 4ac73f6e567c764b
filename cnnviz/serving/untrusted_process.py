"""The process of an untrusted model: ``python -m cnnviz.serving.untrusted_process``.

It reads requests from its standard input, and writes answers as data to its standard output. The
requests are pickles, since they come from the server, which it may trust: a function and its
arguments. The first one confines this process.
"""

from __future__ import annotations

import os
import pickle  # nosec B403
import struct
import sys
import time
from typing import BinaryIO

from cnnviz.errors import CnnvizError

# NumPy, and all that imports it, is imported only after the process has been confined.

# The length of a request precedes it.
REQUEST_LENGTH = struct.Struct(">Q")

_SECONDS_TO_END = 10


def main() -> None:
    """Answers requests until the server closes the pipe."""
    # What libraries print goes to the log, and must not be taken for answers.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    while length := requests.read(REQUEST_LENGTH.size):
        _answer(requests.read(*REQUEST_LENGTH.unpack(length)), answers)
    # The server has ended: `processes.follow` deletes the temporary files, and ends this process.
    time.sleep(_SECONDS_TO_END)


def _answer(request: bytes, answers: BinaryIO) -> None:
    # The server makes the requests itself.
    function, arguments = pickle.loads(request)  # noqa: S301 # nosec B301
    try:
        result = function(*arguments)
        error = None
    except CnnvizError as raised:
        error = raised
    from cnnviz.serving.answers import encode, encode_error

    if error is None:
        try:
            parts = encode(result)
        except CnnvizError as raised:
            error = raised
    for part in encode_error(error) if error else parts:
        answers.write(part)
    answers.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        # The server has ended.
        sys.exit(1)
