"""The errors of cnnviz, with messages that can be shown to a person.

A message states what was expected, what was received, and what to do.
"""

from typing import Self


class CnnvizError(Exception):
    """The base class of every error with a message for the person who uses cnnviz."""


class CardError(CnnvizError):
    """A model's card cannot be read or has a wrong field."""


class DataError(CnnvizError):
    """Photos or prepared data cannot be trained on."""


class TrainingError(CnnvizError):
    """A training cannot begin, go on, or be found."""


class ModelError(CnnvizError):
    """A model file cannot be found, read, or used."""


class LayerError(CnnvizError):
    """A layer does not exist, or has not what a function needs, such as maps or filters."""


class PhotoError(CnnvizError):
    """A photo cannot be read or is outside the limits.

    Attributes:
        code: a short stable name of the reason, such as ``damaged``.
    """

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code


class StorageError(CnnvizError):
    """A file cannot be written.

    Attributes:
        full: whether the disk is full, so that no other file can be written either.
    """

    def __init__(self, message: str, *, full: bool = False) -> None:
        super().__init__(message)
        self.full = full


class TargetError(CnnvizError):
    """A class, a method or another choice does not exist for this network."""


class WorkerError(CnnvizError):
    """The process that runs the networks stopped before it answered.

    Attributes:
        again: whether to ask once more, of a new process, may help.
    """

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again

    @classmethod
    def too_late(cls, seconds: float) -> Self:
        """The error where there was no answer within so many seconds."""
        return cls(
            f"The network gave no answer within {seconds} seconds, so it was stopped. "
            "Nothing of yours is lost.",
            again=False,
        )


class TensorFlowNeededError(CnnvizError):
    """A process without TensorFlow was asked what only TensorFlow can answer; nobody is shown it.

    Attributes:
        convertible: whether it could have answered, had the model been converted.
    """

    def __init__(self, message: str, *, convertible: bool = False) -> None:
        super().__init__(message)
        self.convertible = convertible


class RefusedModelError(ModelError):
    """A model file is not safe to open, or not one that cnnviz can show.

    Attributes:
        code: a short stable name of the reason, such as ``lambda-code``.
    """

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code
