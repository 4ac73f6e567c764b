"""Errors: one parent to catch, and a message that survives pickling."""

from __future__ import annotations

import inspect
import pickle

import pytest

from cnnviz import errors

CHILDREN = [
    value
    for _, value in inspect.getmembers(errors, inspect.isclass)
    if value is not errors.CnnvizError
]


def test_there_are_several_kinds() -> None:
    assert {"CardError", "LayerError", "ModelError", "PhotoError", "TargetError"} <= {
        kind.__name__ for kind in CHILDREN
    }


@pytest.mark.parametrize("kind", CHILDREN)
def test_one_parent_catches_every_kind_and_the_message_survives_pickling(
    kind: type[Exception],
) -> None:
    with pytest.raises(errors.CnnvizError, match="what to do"):
        raise kind("what to do")
    back = pickle.loads(pickle.dumps(kind("what to do")))  # noqa: S301 - our own bytes
    assert type(back) is kind
    assert str(back) == "what to do"
