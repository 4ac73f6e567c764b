"""What a confined process answers, read without trusting it.

An answer travels as a pickle, and a pickle can name any function. Whoever took over a guest's
process would so come out of it; here only plain data and a few names can.
"""

from __future__ import annotations

import io
import pickle  # nosec B403
from typing import Any

# The data that cnnviz's own functions give, and what NumPy, exceptions and loky are made of.
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
    """The web process's end of a guest's pipe: a connection that takes no other names.

    It stands in for a ``multiprocessing`` connection. To the guest's process, which is given the
    pipe when it starts, goes the connection itself.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self._connection,)

    def recv(self) -> Any:
        """The next answer.

        Raises:
            pickle.UnpicklingError: it names something that no answer is made of.
        """
        return _Reader(io.BytesIO(self._connection.recv_bytes())).load()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = module in _MODULES and "." not in name
        if known:
            found = super().find_class(module, name)
            # A module also holds what it imported.
            known = isinstance(found, type) and found.__module__ == module
        if known or (module, name) in _NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"An answer may not name {module}.{name}.")


def _itself(connection: Any) -> Any:
    return connection
