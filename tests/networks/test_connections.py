"""Which call reads which, where some return their input itself."""

from __future__ import annotations

from cnnviz.networks.connections import layer_calls
from cnnviz.networks.topology import Node, Topology


def node(path: str, kind: str, *operands: str | float, is_model: bool = False) -> Node:
    return Node(path, kind, operands, (4, 4, 2), False, {}, is_model)


def connections(*nodes: Node) -> dict[str, tuple[str, ...]]:
    calls = layer_calls(Topology({one.path: one for one in nodes}, nodes[0].path))
    return {call.path: call.inputs for call in calls}


def test_later_readers_of_a_dropouts_input_read_the_dropout() -> None:
    assert connections(
        node("image", "InputLayer"),
        node("conv", "Conv2D", "image"),
        node("before", "ReLU", "conv"),
        node("drop", "Dropout", "conv"),
        node("drop2", "SpatialDropout2D", "conv"),
        node("add", "Add", "conv", "before", 1.5),
    ) == {
        "image": (),
        "conv": ("image",),
        "before": ("conv",),
        "drop": ("conv",),
        "drop2": ("drop",),
        "add": ("drop2", "before"),
    }


def test_a_dropout_that_has_an_output_of_its_own_takes_no_readers_from_others() -> None:
    found = connections(
        node("image", "InputLayer"),
        node("drop", "Dropout", "image"),
        node("a", "ReLU", "drop"),
        node("b", "ReLU", "image"),
    )
    assert found["b"] == ("image",)


def test_a_nested_model_takes_what_its_input_layer_gives_on() -> None:
    found = connections(
        node("image", "InputLayer"),
        node("inner/input", "InputLayer", "image"),
        node("inner/conv", "Conv2D", "image"),
        node("inner", "Functional", "inner/conv", is_model=True),
        node("dense", "Dense", "inner/conv", "inner/conv"),
        node("", "GlobalAveragePooling2D", "dense"),
    )
    assert found == {
        "image": (),
        "inner/input": ("image",),
        "inner/conv": ("inner/input",),
        "inner": ("inner/conv",),
        "dense": ("inner/conv",),
    }
