"""Answers of confined processes, read without trusting them.

An answer is sent as a pickle, and a pickle can call any function that it names. Code that took
over a confined process could leave it that way; here only plain data and a few names are read.
"""

from __future__ import annotations

import io
import pickle  # nosec B403
from typing import Any

# What cnnviz's functions return, and what arrays, exceptions and loky's messages consist of.
_MODULES = {"cnnviz.cards", "cnnviz.errors", "cnnviz.results"}
_NAMES = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("loky.process_executor", "_ExceptionWithTraceback"),
    ("loky.process_executor", "_RemoteTraceback"),
    ("loky.process_executor", "_ResultItem"),
    ("loky.process_executor", "_rebuild_exc"),
}


class GuardedConnection:
    """The web process's end of a confined process's pipe: it reads no other names.

    It replaces a ``multiprocessing`` connection. The confined process, which gets the pipe when
    it starts, receives the connection itself.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _identity, (self._connection,)

    def recv(self) -> Any:
        """The next answer.

        Raises:
            pickle.UnpicklingError: it names something that no answer consists of.
        """
        return _Reader(io.BytesIO(self._connection.recv_bytes())).load()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NAMES:
            return super().find_class(module, name)
        if module in _MODULES and "." not in name:
            member = super().find_class(module, name)
            # A module also holds what it imported.
            if isinstance(member, type) and member.__module__ == module:
                return member
        raise pickle.UnpicklingError(f"An answer may not name {module}.{name}.")


def _identity(connection: Any) -> Any:
    return connection
