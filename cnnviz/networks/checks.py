"""Whether cnnviz can show a model."""

from __future__ import annotations

import re

import keras

from cnnviz.cards import MAX_SIDE
from cnnviz.errors import ModelError
from cnnviz.networks.keras_models import graph_of
from cnnviz.networks.structure import ModelStructure

# More would fill the memory of the process that shows them; ImageNet-21k has 21,841.
MAX_CLASSES = 65_536

# What TensorFlow accepts as the name of a scope.
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]*")


def check_built(model: keras.Model) -> None:
    """Raises ``ModelError`` for a model without weights or without an input."""
    if not model.built or (graph_of(model) and not model.inputs):
        raise ModelError(
            "This model was never built: it holds no weights, and no input that cnnviz could "
            "feed. Call it once on a picture and save it again."
        )


def check_model(model: keras.Model, structure: ModelStructure) -> None:
    """Checks that a model takes one picture, gives class scores, and can be run.

    Raises:
        ModelError: it does not; the message names what cnnviz supports.
    """
    if structure.has_graph:
        _check_input(model, structure)
        _check_outputs(model, structure)
    unfit = [layer.path for layer in structure.layers if not _SCOPE_NAME.fullmatch(layer.path)]
    if unfit:
        raise ModelError(
            f"TensorFlow cannot run a layer named {unfit[0]!r}: a name may hold letters, digits "
            "and the signs . _ - / >. Rename the layer and save the model again."
        )


def _check_input(model: keras.Model, structure: ModelStructure) -> None:
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ModelError(
            "cnnviz shows networks that take one picture: an input of (batch, height, width, "
            "channels), or with the channels before the height. Networks with several inputs, "
            "and networks for text, sound, tables, video or volumes, are not supported. This "
            f"one takes {', '.join(map(str, shapes))}."
        )
    _, height, width, channels = structure.input_shape
    if channels not in {1, 3, 4} or max(height or 1, width or 1) > MAX_SIDE:
        raise ModelError(
            "cnnviz feeds networks with pictures of 1 channel (grey), 3 (RGB) or 4 (RGB and an "
            f"opaque alpha), and at most {MAX_SIDE} pixels a side. This one takes {shapes[0]}."
        )


def _check_outputs(model: keras.Model, structure: ModelStructure) -> None:
    if not structure.class_counts:
        raise ModelError(
            "cnnviz shows networks that give class scores: an output of (batch, classes), or of "
            "(batch, height, width, classes). This one gives "
            f"{', '.join(str(tuple(tensor.shape)) for tensor in model.outputs)}."
        )
    _check_classes(structure)


def _check_classes(structure: ModelStructure) -> None:
    classes = max(structure.class_counts.values())
    if classes > MAX_CLASSES:
        raise ModelError(
            f"This model has {classes:,} outputs, and cnnviz shows networks of at most "
            f"{MAX_CLASSES:,} classes: it may lack the last layer, which gives one score a class."
        )
