"""Converts a network for LiteRT, and proves that the result gives what TensorFlow gives."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cnnviz.arrays import Floats
from cnnviz.errors import ModelError
from cnnviz.networks import conversions, linear_heads
from cnnviz.networks.conversions import (
    Conversion,
    Converted,
    LiteNetwork,
    LostConversionError,
    ModelFacts,
)
from cnnviz.networks.engines import litert, tensorflow
from cnnviz.networks.heads import features, logits
from cnnviz.networks.input_scaling import find_scaling
from cnnviz.networks.keras_models import walk
from cnnviz.networks.loading import card_beside, hash_model, load_with_keras
from cnnviz.networks.network import Network
from cnnviz.networks.tracing import channels_last, record
from cnnviz.networks.values import GraphFacts, PassValues
from cnnviz.networks.weight_files import find_weights
from cnnviz.networks.weights import weights_in
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.preprocessing import network_view, scale_pixels
from cnnviz.photos.samples import samples
from cnnviz.shipped_models import shipped

# The largest difference from TensorFlow's output, as a share of that output's largest value.
TOLERANCE = 1e-4
# The most probable classes, which must be the same and in the same order for every sample.
_TOP = 5
# What the converter takes for a file that holds all weights; larger ones it cannot write.
_MAX_PARAMETERS = 400_000_000

# An operation that LiteRT lacks, in the converter's message.
_MISSING = re.compile(r"'tf\.(\w+)' op is neither a custom op nor a flex op")

# Names of the values of a pass that are no layers.
_VALUES = ("output", "logits", "features")

_log = logging.getLogger(__name__)


class NotConvertedError(ModelError):
    """A network that LiteRT cannot run, or not as TensorFlow does; the text says why."""


def convert(network: Network, folder: Path) -> Converted:
    """Writes a network as two files for LiteRT, and compares all that they give.

    Args:
        network: a network that TensorFlow runs.
        folder: for the files; a model made in memory is saved there, too.

    Returns:
        The conversion, with the files in ``folder``.

    Raises:
        NotConvertedError: LiteRT cannot run the network, or gives something else than TensorFlow.
        LayerError: the network is a subclassed model.
        ModelError: TensorFlow cannot run the network on a picture of the card's size.
    """
    graph = tensorflow.facts(network)
    if network.parameters[0] > _MAX_PARAMETERS:
        raise NotConvertedError("it has too many parameters for one file")
    if network.damaged:
        raise NotConvertedError("weights of it are not numbers")
    kinds = {layer.compute_dtype for _, layer in walk(network.model)} - {"float32"}
    if kinds:
        raise NotConvertedError(f"it computes in {', '.join(sorted(kinds))}")
    path = network.path
    if path is None:
        path = folder / "model.keras"
        network.model.save(path)
    head = graph.head
    steps = [step.output for step in head.steps]
    last = {path for path in (head.features, head.flattened, head.last_spatial, *steps) if path}
    try:
        maps, pictures = _write(network, graph, None, folder / "maps.tflite")
        scores, _ = _write(network, graph, last, folder / "scores.tflite")
    # A full disk, or a LiteRT that does not work here, says nothing of the network.
    except (NotConvertedError, OSError, MemoryError, ImportError):
        raise
    # The converter raises whatever its parts raise, with code and paths in the text.
    except Exception as error:
        _log.info("LiteRT's converter failed on %s", network.card.title, exc_info=error)
        missing = sorted(set(_MISSING.findall(str(error)))) or [type(error).__name__]
        raise NotConvertedError(f"LiteRT cannot run it: {', '.join(missing)}") from error
    try:
        facts = _describe(network, graph, path, pictures)
        converted = Converted(network.view, facts, scores, maps, path, 0)
        return dataclasses.replace(converted, difference=_prove(network, converted))
    except (ModelError, OSError, MemoryError):
        raise
    # A network may end in a way that nobody has thought of.
    except Exception as error:
        _log.warning("Proving the conversion of %s failed", network.card.title, exc_info=error)
        raise NotConvertedError(f"it cannot be compared: {type(error).__name__}") from error


def convert_file(path: Path, *, trusted: bool = False) -> None:
    """Converts a saved model and keeps the result, or the reason why there is none, in the cache.

    Args:
        path: a ``.keras`` or ``.h5`` file.
        trusted: as in ``load_model``; only a shipped model is converted without.

    Raises:
        NotConvertedError: LiteRT cannot run the network, or gives something else than TensorFlow.
        StorageError: the folder of the cache cannot be written, or the disk is full.
        ModelError: the model is not trusted or cannot be loaded, TensorFlow cannot run it, or its
            file or card was changed meanwhile.
        LayerError: the network is a subclassed model.
    """
    hashed, beside = before = hash_model(path), card_beside(path)
    fingerprint = hashed.sha256
    if not trusted and fingerprint not in shipped().values():
        raise ModelError(f"{path.name} is not converted: it is neither shipped nor trusted.")
    network = load_with_keras(path, trusted=trusted)

    def check_unchanged() -> None:
        """Else the network of one file would be stored as that of another."""
        now = hash_model(path), card_beside(path)
        if network.fingerprint != fingerprint or now != before:
            raise ModelError(f"{path.name} was changed while it was converted. Convert it again.")

    check_unchanged()
    with tempfile.TemporaryDirectory(prefix="cnnviz-") as folder:
        try:
            converted = convert(network, Path(folder))
        except NotConvertedError as error:
            check_unchanged()
            _log.info("TensorFlow runs %s, LiteRT does not: %s", path.name, error)
            conversions.refuse(fingerprint, beside, str(error))
            raise
        # Nothing is noted: it may be for want of memory.
        except (ImportError, LostConversionError) as error:
            raise ModelError(f"LiteRT does not work here. {error}") from error
        scores, maps = (file.read_bytes() for file, _ in (converted.scores, converted.maps))
    check_unchanged()
    conversions.store(fingerprint, beside, description(converted), scores, maps)


def description(converted: Converted) -> Conversion:
    """What is stored of a conversion beside its two files."""
    networks = converted.scores[1], converted.maps[1]
    return Conversion(converted.view, converted.facts, *networks, converted.difference)


def _write(
    network: Network, graph: GraphFacts, layers: set[str] | None, file: Path
) -> tuple[tuple[Path, LiteNetwork], tuple[str, ...]]:
    """Converts the pass that gives the scores and the outputs of some layers; of all if None.

    Returns:
        The file, and the layers among them whose output is the picture itself, such as the first
        one of every network: nothing computes these.
    """
    order: dict[str, int] = {}
    pictures: list[str] = []

    @tf.function(autograph=False)
    def run(picture: Any) -> list[Any]:
        with tf.name_scope("network"):
            tensors = _tensors(network, graph, picture, layers)
            pictures.extend(name for name in tensors if tensors[name] is picture)
            computed = {name: tensors[name] for name in tensors if name not in pictures}
            # The same tensor may be the output of several layers.
            different = {id(tensor): tensor for tensor in computed.values()}
            positions = {key: position for position, key in enumerate(different)}
            order.update({name: positions[id(tensor)] for name, tensor in computed.items()})
            return [tf.cast(tensor, tf.float32) for tensor in different.values()]

    function = run.get_concrete_function(tf.TensorSpec((1, *network.view[1:]), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network.model)
    # By way of a saved model it takes three times as long, and forgets the outputs' order.
    converter.experimental_lower_to_saved_model = False
    data = converter.convert()
    file.write_bytes(data)
    interpreter = litert.open_interpreter(file, 1)
    (input_details,) = interpreter.get_input_details()
    outputs = interpreter.get_output_details()
    indices = {name: int(outputs[position]["index"]) for name, position in order.items()}
    lite = LiteNetwork(
        hashlib.sha256(data).hexdigest(),
        len(data),
        int(input_details["index"]),
        {name: index for name, index in indices.items() if name in _VALUES},
        {name[1:]: index for name, index in indices.items() if name not in _VALUES},
        sum(4 * int(np.prod(one["shape"])) for one in outputs),
    )
    return (file, lite), tuple(name[1:] for name in pictures)


def _tensors(
    network: Network, graph: GraphFacts, picture: Any, layers: set[str] | None
) -> dict[str, Any]:
    """The values of a pass by their names, and the outputs of layers by ``/`` and their path."""
    output, calls = record(network, picture)
    values = {
        "output": output,
        "logits": logits(calls, output, graph.head),
        "features": features(calls, graph.head),
    }
    tensors = {name: tensor for name, tensor in values.items() if tensor is not None}
    for call in calls:
        wanted = call.path and (layers is None or call.path in layers)
        if wanted and call.output is picture:
            tensors[f"/{call.path}"] = picture
        elif wanted and hasattr(call.output, "shape"):
            tensors[f"/{call.path}"] = channels_last(call.output, call.channels_first)
    return tensors


def _describe(
    network: Network, graph: GraphFacts, path: Path, pictures: tuple[str, ...]
) -> ModelFacts:
    """What is known of the model beside its outputs."""
    weights = {path: weights_in(layer) for path, layer in walk(network.model)}
    try:
        stored = find_weights(path, {layer: some for layer, some in weights.items() if some})
    except (LookupError, OSError) as error:
        raise NotConvertedError(f"its weights cannot be read from the file: {error}") from error
    return ModelFacts(
        network.structure,
        network.parameters,
        network.damaged,
        find_scaling(network.model),
        pictures,
        stored,
        graph,
    )


# --- Proof ------------------------------------------------------------------------------------


def _prove(network: Network, converted: Converted) -> float:
    """Compares both files with TensorFlow.

    Returns:
        The largest difference, as a share of an output's largest value.

    Raises:
        NotConvertedError: an output or a gradient of noise, a photo or a black picture differs by
            more than ``TOLERANCE``, or the first classes of a sample are others.
    """
    lite = dataclasses.replace(network, converted=converted)
    photos = [network_view(open_photo(sample.path), _steps(network)) for sample in samples()]
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, photos[0].shape, np.uint8)
    everything = frozenset(converted.maps[1].layers) | frozenset(converted.facts.inputs)
    last = frozenset(converted.scores[1].layers)
    differences = []
    for pixels in (noise, photos[0], np.zeros_like(noise)):
        picture = _input(network, pixels)
        expected = tensorflow.forward(network, picture, everything)
        differences += [
            _compare(expected, litert.forward(lite, picture, layers))
            for layers in (everything, last)
        ]
        differences.append(_prove_gradients(network, lite, picture))
    for pixels in photos:
        picture = _input(network, pixels)
        ours, theirs = (
            values.output[0] if values.logits is None else values.logits[0]
            for values in (
                litert.forward(lite, picture, frozenset()),
                tensorflow.forward(network, picture, frozenset()),
            )
        )
        if not np.array_equal(_best(ours), _best(theirs)):
            raise NotConvertedError("the most probable classes of a sample are others")
    return max(differences)


def _prove_gradients(network: Network, lite: Network, picture: NDArray[np.float32]) -> float:
    """Compares the gradients that the weights alone give for the first classes.

    Returns:
        The largest difference; see ``_prove``.
    """
    largest = 0.0
    head = tensorflow.facts(network).head
    paths = {path for path in (head.features, head.flattened) if path}
    for layers in (frozenset({path}) for path in paths):
        if not linear_heads.weighs(head, layers):
            continue
        values = litert.forward(lite, picture, linear_heads.needed(head, layers))
        # One unit stands for two classes.
        for target in range(min(max(values.output.shape[1], 2), _TOP)):
            known = linear_heads.with_gradients(lite, head, values, target)
            if known is not None:
                expected = tensorflow.backward(network, picture, layers, target)
                largest = max(largest, _compare(expected, known))
    return largest


def _steps(network: Network) -> Any:
    steps = network.card.preprocessing
    # With any scaling both engines must give the same.
    return steps if steps.scaling != "unknown" else steps.model_copy(update={"scaling": "unit"})


def _input(network: Network, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return scale_pixels(pixels, _steps(network).scaling)[None]


def _best(scores: Floats) -> NDArray[np.intp]:
    return np.argsort(-scores, kind="stable")[:_TOP]


def _compare(expected: PassValues, given: PassValues) -> float:
    """The largest difference; see ``_prove``."""
    largest = 0.0
    pairs = [(path, expected.layers[path], maps) for path, maps in given.layers.items()]
    pairs += [
        (f"the gradient at {path}", expected.gradients[path], gradient)
        for path, gradient in given.gradients.items()
    ]
    for name in _VALUES:
        theirs, ours = getattr(expected, name), getattr(given, name)
        if (theirs is None) is not (ours is None):
            raise NotConvertedError(f"there are no {name} in one of both")
        if theirs is not None:
            pairs.append((f"the {name}", theirs, ours))
    for name, theirs, ours in pairs:
        if theirs.shape != ours.shape:
            raise NotConvertedError(f"{name} has the shape {ours.shape}, not {theirs.shape}")
        difference = disagreement(theirs, ours)
        if not difference <= TOLERANCE:
            raise NotConvertedError(f"{name} differs by {difference:.1e} of its largest value")
        largest = max(largest, difference)
    return largest


def disagreement(expected: Floats, given: Floats) -> float:
    """The largest difference as a share of the largest value; NaN where one is not a number."""
    if not expected.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        difference = float(np.abs(given - expected).max())
    largest = float(np.abs(expected).max())
    return difference / largest if largest else (0.0 if difference == 0 else np.inf)
