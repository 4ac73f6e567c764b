"""What runs inside a worker process: it loads networks, keeps some, and answers calls on them.

A light process has only networks that were converted for LiteRT, and never imports TensorFlow: what
needs that it refuses, for a process with TensorFlow to answer. `worker_pools` starts these
processes and `workers` submits the calls. Both import this module in the calling process, so
TensorFlow and all that needs it are imported inside functions.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import importlib
import logging
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from cnnviz.errors import CnnvizError, ModelError, TensorFlowNeededError
from cnnviz.processes import follow
from cnnviz.sandbox.confinement import confine, protect_memory
from cnnviz.serving.model_files import ModelFile
from cnnviz.settings import Settings
from cnnviz.storage import HashedFile, card_path, hash_file, labels_path

if TYPE_CHECKING:
    from cnnviz.cards import ModelCard
    from cnnviz.inspection.gate import Inspection
    from cnnviz.networks.network import Network

Function = Literal[
    "activations",
    "ascend",
    "check_pictures",
    "explain",
    "explain_stages",
    "explain_sum",
    "filters",
    "find_class_exemplars",
    "find_exemplars",
    "outline",
    "predict",
    "prepare",
    "run_part",
    "search_part",
    "trace_class_map",
    "trace_value",
]

# The functions that can be called in a worker, and the module of each.
_FUNCTIONS: dict[Function, str] = {
    "activations": "networks.feature_maps",
    "ascend": "features.maximization",
    "check_pictures": "features.maximization",
    "explain": "attribution.explanations",
    "explain_stages": "attribution.stages",
    "explain_sum": "attribution.series_runs",
    "filters": "networks.kernels",
    "find_class_exemplars": "features.class_exemplars",
    "find_exemplars": "features.exemplars",
    "outline": "attribution.outlines",
    "predict": "networks.predictions",
    "prepare": "attribution.outlines",
    "run_part": "attribution.series_runs",
    "search_part": "attribution.smallest_parts",
    "trace_class_map": "attribution.map_traces",
    "trace_value": "networks.arithmetic",
}

_log = logging.getLogger(__name__)

# The networks in memory, the one that was used last at the end.
_networks: OrderedDict[ModelFile, Network] = OrderedDict()
_most_networks = 1
_is_light = False
# The same with the cards that people set in the app: they take little more than the cards.
_with_cards: OrderedDict[tuple[ModelFile, str], Network] = OrderedDict()
_MOST_CARDS = 8
# Models of a light process that cannot be converted.
_refused: set[ModelFile] = set()
# The verdict on the model of an untrusted process.
_inspected: dict[ModelFile, Inspection] = {}


@dataclass(frozen=True)
class WorkerCall:
    """A call of a function on a network.

    Attributes:
        function: its name.
        model: the network's file.
        card: takes the place of the model's own card; None for that one.
        args: what the function takes after the network.
        options: its keyword arguments.
    """

    function: Function
    model: ModelFile
    card: ModelCard | None = None
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def initialise(settings: Settings, parent: int, folder: str, light: bool) -> None:
    """Prepares a new process for trusted models.

    Args:
        settings: limits.
        parent: the id of the process that started this one, which ends together with it.
        folder: of its temporary files, which is deleted when the parent ends.
        light: whether it is to do without TensorFlow.
    """
    from loky import process_executor

    global _is_light, _most_networks
    _is_light = light
    _most_networks = settings.networks
    # loky would end a process that has grown by 300 MB, as one does that loads a large network.
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
    protect_memory()
    follow(parent, folder)
    if light:
        from cnnviz.networks.keras_start import around_start

        around_start(_refuse_tensorflow)
    else:
        import_tensorflow(settings.threads)


def initialise_untrusted(memory: int, parent: int, folder: str, model: ModelFile) -> None:
    """Confines a new process for one untrusted model.

    Args:
        memory: bytes of address space.
        parent: as for ``initialise``.
        folder: the only one in which it may write.
        model: the only one that it may read, with its card and class names.

    Raises:
        ModelError: this system refuses to confine it.
    """
    path = Path(model.path)
    try:
        confine(memory, read=[path, card_path(path), labels_path(path)], write=[Path(folder)])
    except (OSError, RuntimeError) as error:
        _log.exception("The process of an untrusted model could not be confined")
        raise ModelError(
            "This system refuses to confine the process of a model that is not trusted, so the "
            "model is not opened. The server's log says more."
        ) from error
    follow(parent, folder)


def inspect(model: ModelFile) -> None:
    """Inspects an untrusted model before ``answer`` loads it.

    Raises:
        ModelError: the file is not there any more.
        RefusedModelError: the file is not safe to open.
    """
    if not Path(model.path).exists():
        raise ModelError(
            "This model was deleted, because others needed the disk space. Upload it again."
        )
    from cnnviz.inspection import gate

    look = gate.inspect_inner_model if model.inner else gate.inspect_model
    _inspected[model] = look(Path(model.path))


def import_tensorflow(threads: int) -> None:
    """Imports all that runs networks; with 0 threads TensorFlow chooses their number."""
    # TensorFlow makes hundreds of thousands of objects that stay: counting them again
    # and again in the middle of the import takes a sixth of its time.
    gc.disable()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    importlib.import_module("cnnviz.attribution.outlines")
    importlib.import_module("cnnviz.networks.engines.tensorflow").turn_off_rewriting()
    gc.enable()


def answer(call: WorkerCall) -> Any:
    """Carries out a call; the model is loaded if it is not in memory.

    Raises:
        TensorFlowNeededError: this process is light, and cannot answer.
        CnnvizError: whatever else goes wrong, so that the caller can read it without TensorFlow.
    """
    try:
        network = _network(call.model, call.card)
        module = importlib.import_module(f"cnnviz.{_FUNCTIONS[call.function]}")
        result = getattr(module, call.function)(network, *call.args, **call.options)
        _check_weight(result)
        return result
    except TensorFlowNeededError:
        _forget_lost(call.model)
        raise
    except CnnvizError:
        raise
    # An error of TensorFlow's could not be read without TensorFlow.
    except Exception as error:  # noqa: BLE001
        _log.exception("%s failed on %s", call.function, call.model.path)
        if _is_light:
            raise TensorFlowNeededError(f"LiteRT failed on {call.model.path}.") from None
        raise ModelError(
            f"The network could not be run: {type(error).__name__}. The server's log says more."
        ) from None


def _check_weight(result: Any) -> None:
    """Refuses an answer that the caller, which serves everybody, has no memory for."""
    # It imports NumPy, which starts threads: not before a process is confined.
    from cnnviz.serving.answers import MOST_BYTES

    weight = _weight(result)
    if weight > MOST_BYTES:
        raise ModelError(
            f"The answer would take {weight / 2**20:,.0f} MB, and at most "
            f"{MOST_BYTES >> 20} MB are sent at once: choose a layer with fewer or smaller "
            "maps, or use the command line."
        )


def _weight(value: Any) -> int:
    """About how many bytes a result takes: its arrays, texts and numbers, wherever they are."""
    from cnnviz.cards import ModelCard

    match value:
        # An array, or a number of NumPy's.
        case _ if hasattr(value, "nbytes"):
            return int(value.nbytes)
        case str() | bytes():
            return len(value)
        case dict():
            return sum(_weight(key) + _weight(inner) for key, inner in value.items())
        case list() | tuple() | set() | frozenset():
            return sum(map(_weight, value))
        case ModelCard():
            return _weight(vars(value))
        case _ if dataclasses.is_dataclass(value):
            return sum(_weight(getattr(value, part.name)) for part in dataclasses.fields(value))
    return 8


def loaded_models() -> list[ModelFile]:
    """The models whose networks are in memory, the one that was used last at the end.

    For tests that run in a worker: its memory cannot be read from outside.
    """
    return list(_networks)


def _network(model: ModelFile, card: ModelCard | None) -> Network:
    network = _loaded(model)
    if card is None:
        return network
    key = model, card.model_dump_json()
    if key not in _with_cards:
        from cnnviz.networks.loading import with_card

        while len(_with_cards) >= _MOST_CARDS:
            _with_cards.popitem(last=False)
        _with_cards[key] = with_card(network, card)
    _with_cards.move_to_end(key)
    return _with_cards[key]


def _loaded(model: ModelFile) -> Network:
    if model in _networks:
        _networks.move_to_end(model)
        return _networks[model]
    # Without a conversion nothing is evicted for it.
    network = load_converted(model) if _is_light else None
    while len(_networks) >= _most_networks:
        _forget(next(iter(_networks)))
    _networks[model] = network or load(model)
    # loky collects garbage after a call. What stays is frozen, so that it is not scanned each
    # time; what was frozen before and has been evicted is scanned once more to be freed.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return _networks[model]


def _forget(model: ModelFile) -> None:
    """Frees a network, with those that have other cards: they share its model."""
    _networks.pop(model, None)
    for key in [key for key in _with_cards if key[0] == model]:
        del _with_cards[key]


def _forget_lost(model: ModelFile) -> None:
    """Frees a network whose conversion somebody has deleted, so that it is looked for anew."""
    converted = _networks[model].converted if model in _networks else None
    if converted is not None:
        files = converted.scores[0], converted.maps[0]
        if not all(file.exists() for file in files):
            _forget(model)


def load(model: ModelFile) -> Network:
    """Loads a model as a ``Network``; one that is not trusted was inspected before.

    Raises:
        ModelError: the file is not there any more, or cannot be loaded.
        RefusedModelError: the file has changed since it was inspected.
    """
    from cnnviz.networks.loading import load_inspected, load_model, load_with_keras

    if not model.trusted:
        return load_inspected(model.path, _inspected[model])
    path = Path(model.path)
    if model.checkpoint and path.exists():
        return load_with_keras(path, trusted=True)
    network = load_model(path, trusted=True)
    # Of a network that was converted, this process is asked only what needs its Keras model.
    _ = network.model
    return network


def load_converted(model: ModelFile) -> Network:
    """Loads a trusted model that was converted, also since the last question about it.

    Raises:
        TensorFlowNeededError: it was not converted.
        ModelError: the file cannot be read.
        CardError: the card beside it has a wrong field or does not fit the model.
    """
    from cnnviz.networks import conversions, loading

    path = Path(model.path)
    needed = f"{path.name} was not converted for LiteRT."
    if model in _refused:
        raise TensorFlowNeededError(needed)
    try:
        hashed = _hashed(model.path, model.modified, model.size)
    except OSError as error:
        raise ModelError(f"There is no model file at {path}.") from error
    network = loading.load_converted(path, trusted=True, hashed=hashed)
    if network is not None:
        return network
    found = conversions.find(path, hashed.sha256, loading.card_beside(path))
    if isinstance(found, conversions.Refusal):
        _refused.add(model)
    raise TensorFlowNeededError(needed, convertible=model not in _refused)


@functools.lru_cache(maxsize=64)
def _hashed(path: str, _modified: int, _size: int) -> HashedFile:
    """The SHA-256 of a file, which is read again only if it changed."""
    return hash_file(Path(path))


def _refuse_tensorflow() -> NoReturn:
    raise TensorFlowNeededError("This process does without TensorFlow.")
