"""Mixed precision: which graphics cards get it, and that a training then really uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from corpus import classes

from cnnviz.training import architectures
from cnnviz.training.data.manifest import Prepared
from cnnviz.training.data.pixels import prepare_pixels
from cnnviz.training.loop import train

# Keras saves weights with a call that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RECIPE = "lesson-mnist"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("colours")
    return prepare_pixels(classes.write_pixels(folder / "a.npz", [6, 6]), folder / "data")


def pretend_cards(monkeypatch: pytest.MonkeyPatch, capabilities: list[Any]) -> None:
    """Graphics cards that TensorFlow lists; what is built for them runs on the processor."""
    details = {
        f"card {number}": {"compute_capability": capability} if capability else {}
        for number, capability in enumerate(capabilities)
    }
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: list(details))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)


def record_builds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, keras.Model]]:
    """Every network that is built from now on, and the policy that was in force."""
    networks: list[tuple[str, keras.Model]] = []
    build = architectures.BUILDERS[RECIPE]

    def recording(*arguments: Any) -> keras.Model:
        networks.append((keras.config.dtype_policy().name, build(*arguments)))
        return networks[-1][1]

    monkeypatch.setitem(architectures.BUILDERS, RECIPE, recording)
    return networks


@pytest.mark.parametrize(
    ("capabilities", "policy"),
    [
        ([], "float32"),
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (8, 6)], "mixed_bfloat16"),
        ([(7, 5)], "float32"),
        # All cards compute the same step, so one that lacks bfloat16 decides.
        ([(9, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_the_policy_that_a_network_is_built_with(
    capabilities: list[Any],
    policy: str,
    data: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class BuiltError(Exception):
        """Ends the training once its network would be built."""

    def build(*_: Any) -> keras.Model:
        raise BuiltError(keras.config.dtype_policy().name)

    pretend_cards(monkeypatch, capabilities)
    monkeypatch.setitem(architectures.BUILDERS, RECIPE, build)
    with pytest.raises(BuiltError, match=f"^{policy}$"):
        train(data, tmp_path / "colours.keras", RECIPE, epochs=1)
    assert keras.config.dtype_policy().name == "float32"


def test_a_training_on_a_suitable_card_computes_in_bfloat16_and_saves_float32(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_cards(monkeypatch, [(8, 0)])
    networks = record_builds(monkeypatch)
    out = tmp_path / "colours.keras"
    train(data, out, RECIPE, epochs=1, batch=4, seed=1)

    (policy, trained), *copies = networks
    assert policy == "mixed_bfloat16"
    *hidden, scores = [layer for layer in trained.layers if layer.weights]
    assert {layer.compute_dtype for layer in hidden} == {"bfloat16"}
    assert {layer.variable_dtype for layer in hidden} == {"float32"}
    # Probabilities of bfloat16 would have two digits.
    assert scores.compute_dtype == "float32"
    assert {policy for policy, _ in copies} == {"float32"}
    saved = keras.saving.load_model(out, compile=False)
    assert {layer.dtype_policy.name for layer in saved.layers} == {"float32"}
    for one, other in zip(saved.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
