"""Opens saved models with Keras."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import keras

from cnnviz.errors import ModelError
from cnnviz.networks import keras2_activations as keras2_activations  # registers them
from cnnviz.networks.keras_models import walk

_log = logging.getLogger(__name__)


def open_file(path: Path, name: str) -> keras.Model:
    """The model of a file as it is; ``name`` is the file's for messages.

    Raises:
        ModelError: Keras cannot load it.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    # Keras raises whatever a malformed file makes it raise, with paths and code in the text.
    except Exception as error:
        _log.warning("Keras could not load %s", name, exc_info=error)
        raise ModelError(
            f"{name} cannot be loaded as a Keras model: the file is damaged, was saved by "
            "an incompatible version, or needs code of its own."
        ) from error


def open_copy(copy: Path, name: str) -> keras.Model:
    """The model of a sanitised copy; ``name`` is that of the file, for messages.

    Raises:
        ModelError: Keras cannot load it.
    """
    settings = _keras_settings()
    model = open_file(copy, name)
    if _keras_settings() != settings:
        raise ModelError(f"{name} changed Keras's own settings while it was loaded.")
    for _, layer in walk(model):
        # Keras 3.15 gives such a layer inside another model a mean of 0 and a variance of 1.
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()
    return model


def _keras_settings() -> tuple[Any, ...]:
    config = keras.config
    policy = keras.dtype_policies.serialize(config.dtype_policy())
    return config.floatx(), config.epsilon(), config.image_data_format(), str(policy)
