"""The weights of a layer, from the Keras model or from the file of a converted one."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import h5py
import numpy as np

from cnnviz.arrays import Floats
from cnnviz.errors import LayerError, ModelError
from cnnviz.networks.structure import no_such_layer, without_call_numbers
from cnnviz.networks.values import Head
from cnnviz.storage import FileIdentity, identity_of

if TYPE_CHECKING:
    from cnnviz.networks.network import Network

# The member of a .keras file with the weights.
_WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class StoredWeights:
    """The names of a layer's weights in a model's HDF5 file; as in ``LayerWeights``."""

    kernel: str
    bias: str | None = None
    pointwise: str | None = None


@dataclass(frozen=True)
class LayerWeights:
    """The weights of a convolution or a dense layer as Keras stores them, float32.

    Attributes:
        kernel: of a separable convolution, that of its depthwise part.
        bias: (C_out,); None where there is none.
        pointwise: of a separable convolution; else None.
    """

    kernel: Floats
    bias: Floats | None = None
    pointwise: Floats | None = None


def needed_weights(network: Network, path: str) -> LayerWeights:
    """The weights of a layer whose values depend on them, such as the dense layer of a head.

    Raises:
        LayerError: there is no such layer, or it has no kernel.
        ModelError: as for ``layer_weights``.
    """
    weights = layer_weights(network, path)
    if weights is None:
        raise LayerError(f"The layer {path!r} has no weights.")
    return weights


def class_weights(network: Network, head: Head, channels: int) -> tuple[Floats, Floats]:
    """The weights (K, C) and biases (C,) of the classes in the last dense layer.

    A single unit stands for two classes: it has the numbers of the second, and the first has their
    opposite. Without a dense layer each of the ``channels`` last maps belongs to one class.

    Raises:
        LayerError: the dense layer has no kernel.
        ModelError: as for ``layer_weights``.
    """
    if head.dense is None:
        kernel, bias = np.eye(channels, dtype=np.float32), None
    else:
        weights = needed_weights(network, head.dense)
        # Of a 1×1 convolution, too, which may take its place.
        kernel, bias = weights.kernel.reshape(-1, weights.kernel.shape[-1]), weights.bias
    biases = np.zeros(kernel.shape[1], np.float32) if bias is None else bias
    if len(biases) == 1:
        return np.hstack([-kernel, kernel]), np.hstack([-biases, biases])
    return kernel, biases


def layer_weights(network: Network, path: str) -> LayerWeights | None:
    """The weights of a layer; None of one without a kernel.

    Raises:
        LayerError: there is no such layer.
        ModelError: the network's file cannot be read any more, or is another one now.
    """
    converted = network.converted
    if converted is None:
        return _weights_in_model(network, path)
    name = without_call_numbers(path)
    layers = {layer.path: layer for layer in network.layers}
    if name not in layers:
        raise no_such_layer(path, layers)
    stored = converted.facts.weights.get(name)
    if stored is None:
        # Such as the dense layer of another output than the converted one.
        return _weights_in_model(network, path) if layers[name].parameters else None
    if name in converted.kept:
        return converted.kept[name]
    try:
        with open_weights(converted.model, converted.identity) as file:

            def read(dataset: str | None) -> Floats | None:
                return None if dataset is None else np.asarray(file[dataset], np.float32)

            kernel = np.asarray(file[stored.kernel], np.float32)
            weights = LayerWeights(kernel, read(stored.bias), read(stored.pointwise))
    except (LookupError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"The weights in {converted.model.name} cannot be read.") from error
    # Every map of a class needs them again.
    if path in converted.facts.graph.head.dense_layers:
        converted.kept[name] = weights
    return weights


def _weights_in_model(network: Network, path: str) -> LayerWeights | None:
    # First the model: it is what starts Keras.
    model = network.model
    from cnnviz.networks.keras_models import find

    return model_weights(find(model, path))


def model_weights(layer: Any) -> LayerWeights | None:
    """The weights of a Keras layer; None of one without a kernel."""
    kernel = getattr(layer, "depthwise_kernel", None)
    if kernel is None:
        kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return None
    # SpectralNormalization has the kernel of the layer in it, but not its bias.
    bias = getattr(getattr(layer, "layer", layer), "bias", None)
    return LayerWeights(
        np.asarray(kernel, np.float32),
        *(
            None if weight is None else np.asarray(weight, np.float32)
            for weight in (bias, getattr(layer, "pointwise_kernel", None))
        ),
    )


@contextmanager
def open_weights(path: Path, identity: FileIdentity | None = None) -> Iterator[h5py.File]:
    """The weights in a model's file, ``.keras`` or ``.h5``, of somebody whom one trusts.

    Args:
        path: the file.
        identity: of the file that it must still be; None if that does not matter.

    Raises:
        ModelError: it is another file now, or was written to.
        OSError: the file is not there, or is none of these.
    """
    with path.open("rb") as opened:
        # What was opened is read to its end, whatever gets its name meanwhile.
        _check_identity(opened, path, identity)
        with h5py.File(_weights(opened)) as file:
            yield file
        _check_identity(opened, path, identity)


def _check_identity(file: IO[bytes], path: Path, identity: FileIdentity | None) -> None:
    if identity is not None and identity_of(os.fstat(file.fileno())) != identity:
        raise changed_in_use(path)


def changed_in_use(path: Path) -> ModelError:
    """The error for a model whose file is not the one any more that was loaded."""
    return ModelError(f"{path.name} was changed while it was in use. Load it again.")


def _weights(file: IO[bytes]) -> IO[bytes]:
    """The HDF5 file in a ``.keras`` file; a file of another kind itself."""
    if not zipfile.is_zipfile(file):
        return file
    with zipfile.ZipFile(file) as archive:
        return io.BytesIO(archive.read(_WEIGHTS))


def stored_weights(path: Path, wanted: dict[str, LayerWeights]) -> dict[str, StoredWeights]:
    """Finds the weights of layers in a model's file by their values.

    Raises:
        LookupError: the file does not hold them as they are.
    """
    datasets: dict[tuple[int, ...], list[tuple[str, Floats]]] = {}
    with open_weights(path) as file:

        def add(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
                datasets.setdefault(item.shape, []).append((name, np.asarray(item, np.float32)))

        file.visititems(add)

    def find(values: Floats) -> str:
        for name, candidate in datasets.get(values.shape, []):
            if np.array_equal(candidate, values):
                return name
        raise LookupError("the weights of a layer are not in the file as they are")

    def find_any(values: Floats | None) -> str | None:
        return None if values is None else find(values)

    return {
        path: StoredWeights(find(layer.kernel), find_any(layer.bias), find_any(layer.pointwise))
        for path, layer in wanted.items()
    }
