"""Model files on disk: what identifies one state of a file, and whether it is trusted."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from cnnviz.errors import ModelError
from cnnviz.settings import read_settings
from cnnviz.shipped_models import fingerprint_of, shipped
from cnnviz.storage import card_path, labels_path


@dataclass(frozen=True)
class ModelFile:
    """Identity and trust of a saved model: a change of the file, or of its card, changes it.

    Attributes:
        path: the file.
        modified: when it was written, in nanoseconds since 1970.
        size: in bytes.
        card_modified: when the card beside it was written; 0 without a card.
        labels_modified: when the ``labels.txt`` beside it was written, whose class names a model
            without a card has; 0 without one.
        trusted: whether Keras loads the file without inspection, in a process with other models.
        inner: whether the model inside a file for several graphics cards is meant.
        checkpoint: whether it is a checkpoint of a training. These are viewed one after the
            other, and have a process of their own so that they do not evict other networks.
    """

    path: str
    modified: int
    size: int
    card_modified: int
    trusted: bool = False
    inner: bool = False
    checkpoint: bool = False
    labels_modified: int = 0

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.path).stem


def model_file(path: str | Path) -> ModelFile:
    """Reads the identity of a model file, and whether it is trusted.

    Trusted are the models that the project ships, in any folder, and with the switch
    ``CNNVIZ_TRUST`` all in the folder of models.

    Raises:
        ModelError: there is no such file.
    """
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ModelError(f"There is no model file at {path}.") from error
    card_modified, labels_modified = (
        beside.stat().st_mtime_ns if beside.exists() else 0
        for beside in (card_path(path), labels_path(path))
    )
    settings = read_settings()
    switched = settings.trust and path.parent.resolve() == settings.models.resolve()
    return ModelFile(
        str(path),
        status.st_mtime_ns,
        status.st_size,
        card_modified,
        trusted=switched or _is_shipped(str(path), status.st_mtime_ns, status.st_size),
        labels_modified=0 if card_modified else labels_modified,
    )


@functools.lru_cache(maxsize=256)
def _is_shipped(path: str, _modified: int, _size: int) -> bool:
    """Whether a file equals one that the project ships; the file is read again if it changed."""
    expected = shipped().get(Path(path).name)
    return expected is not None and fingerprint_of(Path(path)) == expected
