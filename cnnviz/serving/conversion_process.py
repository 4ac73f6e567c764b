"""Converts one model of the folder: ``python -m cnnviz.serving.conversion_process``.

Its arguments are the model's file, the id of the server's process, and a folder for temporary
files. It exits with 1, and a line in the log, if there is no conversion then.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from cnnviz.errors import CnnvizError, ModelError
from cnnviz.processes import follow
from cnnviz.sandbox.confinement import protect_memory
from cnnviz.serving.worker_process import import_tensorflow
from cnnviz.settings import read_settings

# The lowest priority: it takes what the answers leave.
_NICE = 19

_log = logging.getLogger(__name__)


def main(path: str, parent: str, folder: str) -> int:
    """Converts a model that the server trusts.

    Args:
        path: the model's file.
        parent: id of the server's process.
        folder: of temporary files, which is deleted when the server ends.

    Returns:
        The code with which to exit.
    """
    # Before any thread is started: each has a priority of its own.
    if sys.platform != "win32":
        os.nice(_NICE)
    protect_memory()
    follow(int(parent), folder)
    try:
        import_tensorflow(read_settings().threads)
        from cnnviz.networks.engines.conversion import convert_file

        convert_file(Path(path), trusted=True)
        _check_cache(Path(path))
    except (CnnvizError, OSError) as error:
        _log.warning("%s is not converted for LiteRT: %s", path, error)
        return 1
    # Libraries raise whatever they like on a network that they do not know.
    except Exception as error:  # noqa: BLE001
        _log.warning("%s is not converted for LiteRT: %s: %s", path, type(error).__name__, error)
        return 1
    return 0


def _check_cache(path: Path) -> None:
    """Raises ``ModelError`` for what the server would not find, and have converted for ever."""
    from cnnviz.networks import conversions
    from cnnviz.networks.loading import card_beside, hash_model

    found = conversions.find(path, hash_model(path).sha256, card_beside(path))
    if not isinstance(found, conversions.Converted):
        raise ModelError("What was made of it cannot be used.")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
