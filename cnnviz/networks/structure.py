"""The structure of a model as plain data: its layers, shapes and outputs.

Layers of nested models are included and named by their path: ``backbone/block3_conv1``.
Keras lets a layer keep its maps as (N, C, h, w); every shape here is (N, h, w, C).
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass

from cnnviz.errors import CardError, LayerError
from cnnviz.results import LayerInfo

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class ModelStructure:
    """What can be read from a model without running it; shapes have the channels last.

    Attributes:
        has_graph: whether the model is Sequential or functional. A subclassed model has no
            graph that could be followed: of it only the layers are known.
        layers: every layer, nested ones included, in order.
        input_shape: of the first input: ``(None, h, w, C)``; () without a graph.
        outputs: every output by name: (None, C), or (None, h, w, C) of one that gives maps.
            Empty without a graph.
        channels_first: paths of the operations whose maps the model keeps as (N, C, h, w).
    """

    has_graph: bool
    layers: tuple[LayerInfo, ...]
    input_shape: Shape
    outputs: dict[str, Shape]
    channels_first: frozenset[str]

    @functools.cached_property
    def class_counts(self) -> dict[str, int]:
        """Number of classes of each output with class scores; rows of scores before maps."""
        return {
            name: int(shape[-1] or 0)
            for rank in (2, 4)
            for name, shape in self.outputs.items()
            if len(shape) == rank and shape[-1]
        }

    def class_count(self, output: str | None) -> int:
        """Number of classes of an output; of the first with class scores if None.

        Raises:
            CardError: there is no such output with class scores.
        """
        if output is not None and output not in self.class_counts:
            raise CardError(
                f"output: there is no output {output!r} that gives class scores. "
                f"Choose from {', '.join(self.class_counts)}."
            )
        return self.class_counts[output or next(iter(self.class_counts))]


def channels_last_shape(shape: Shape, channels_first: bool) -> Shape:
    """The shape (N, h, w, C) of maps (N, C, h, w) if ``channels_first``; others as they are."""
    if channels_first and len(shape) == 4:
        return (shape[0], *shape[2:], shape[1])
    return shape


def free_name(name: str, taken: Container[str]) -> str:
    """The name, or the first of ``name#1``, ``name#2``, … that is not in ``taken``."""
    free, count = name, 0
    while free in taken:
        count += 1
        free = f"{name}#{count}"
    return free


def without_call_numbers(path: str) -> str:
    """The path of a layer, from the path of one of its calls: ``twin#1/conv`` is ``twin/conv``."""
    return re.sub(r"#\d+(?=/|$)", "", path)


def layer_at(path: str, layers: Container[str]) -> str:
    """The path of a layer, from its own path or from that of one of its calls."""
    return path if path in layers else without_call_numbers(path)


def no_such_layer(path: str, paths: Iterable[str]) -> LayerError:
    """The error for a path that is none of ``paths``; it names similar ones."""
    known = list(paths)
    near = [known_path for known_path in known if known_path.endswith("/" + path)][:3]
    near = near or difflib.get_close_matches(path, known, n=3) or known[:3]
    return LayerError(
        f"This network has no layer {path!r}. Near it: {', '.join(near)}. "
        "network.layers lists them all."
    )


def no_output(path: str, paths: Iterable[str]) -> LayerError:
    """The error for a path at which a run gives no array: no layer, or one without its own output.

    Args:
        path: of a layer, or of one of its calls.
        paths: of all layers.
    """
    known = list(paths)
    if not {path, without_call_numbers(path)} & set(known):
        return no_such_layer(path, known)
    return LayerError(
        f"The layer {path!r} gives no array of its own when the network runs: it is "
        "never run, or gives several. Choose another."
    )
