"""What runs inside a worker process: it loads networks, keeps some, and answers questions on them.

`workers` starts these processes, and names the functions of this module by reference alone: the
process that asks imports it too, so TensorFlow and all that needs it are imported inside functions.
"""

from __future__ import annotations

import gc
import importlib
import logging
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnviz.cards import ModelCard, changed
from cnnviz.errors import CnnvizError, ModelError
from cnnviz.processes import follow
from cnnviz.serving.model_files import ModelFile
from cnnviz.settings import Settings, read_settings

# What may be asked of a worker, and where it lives.
_FUNCTIONS = {
    "activations": "networks.feature_maps",
    "explain": "attribution.explanations",
    "filters": "networks.kernels",
    "outline": "attribution.outlines",
    "predict": "networks.predictions",
    "prepare": "attribution.outlines",
}

# Each thread of a guest takes address space; a stranger's model need not have all cores.
_GUEST_THREADS = 2

_log = logging.getLogger(__name__)

_networks: OrderedDict[ModelFile, Any] = OrderedDict()
# The same by the cards that people set in the app: little more than the cards.
_carded: OrderedDict[ModelFile, Any] = OrderedDict()
_MOST_CARDS = 8
_most = 1


def initialise(settings: Settings, parent: int, folder: str | None) -> None:
    """Makes a new process ready.

    Args:
        settings: limits.
        parent: the id of the process that started this one, which ends together with it.
        folder: for a guest where its temporary files lie, else None.
    """
    global _most
    guest = folder is not None
    _most = 1 if guest else settings.networks
    follow(parent, folder)
    if guest:
        # TensorFlow comes later, so that a file that is refused is refused at once.
        from cnnviz.serving.sandbox import confine

        confine(settings.untrusted_gb << 30)
    else:
        _import_tensorflow(settings.threads)


def _import_tensorflow(threads: int) -> None:
    # TensorFlow makes hundreds of thousands of objects that stay: to count them again
    # and again in the middle of the import takes a sixth of its time.
    gc.disable()
    import tensorflow as tf

    # 0 leaves the choice to TensorFlow.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    importlib.import_module("cnnviz.attribution.outlines")
    gc.enable()


def answer(function: str, model: ModelFile, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls one of the functions of the table on a model, which is loaded when it is not there.

    Raises:
        CnnvizError: whatever goes wrong, so that who asked can read it without TensorFlow.
    """
    try:
        network = _network(model)
        home = importlib.import_module(f"cnnviz.{_FUNCTIONS[function]}")
        return getattr(home, function)(network, *args, **kwargs)
    except CnnvizError:
        raise
    # An error of TensorFlow's could not be read without TensorFlow.
    except Exception as error:  # noqa: BLE001
        _log.exception("%s failed on %s", function, model.path)
        raise ModelError(
            f"The network could not be run: {type(error).__name__}. The server's log says more."
        ) from None


def _network(model: ModelFile) -> Any:
    base = _loaded(replace(model, card="", title=""))
    if not model.card and not model.title:
        return base
    known = _carded.get(model)
    if known is None or known.model is not base.model:
        from cnnviz.networks.loading import with_card

        while len(_carded) >= _MOST_CARDS:
            _carded.popitem(last=False)
        if model.card:
            card = ModelCard.model_validate_json(model.card)
        else:
            card = changed(base.card, title=model.title)
        known = _carded[model] = with_card(base, card)
    return known


def _loaded(model: ModelFile) -> Any:
    if model in _networks:
        _networks.move_to_end(model)
        return _networks[model]
    while len(_networks) >= _most:
        _networks.popitem(last=False)
    _networks[model] = _load(model)
    # loky collects garbage after a call; what stays need not be looked at every time. What was
    # kept out of sight before, and has left, must be seen once more to be let go.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    return _networks[model]


def _load(model: ModelFile) -> Any:
    if not model.trusted:
        from cnnviz.inspection import gate

        if not Path(model.path).exists():
            raise ModelError(
                "This model was put away, because others needed the room. Upload it again."
            )
        look = gate.inspect_inner_model if model.inner else gate.inspect_model
        found = look(Path(model.path))
        _import_tensorflow(read_settings().threads or _GUEST_THREADS)
        from cnnviz.networks.loading import load_inspected

        return load_inspected(model.path, found)
    from cnnviz.networks.loading import load_model

    return load_model(model.path, trusted=True)
