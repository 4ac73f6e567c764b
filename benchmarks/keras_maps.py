"""The maps of xplique and tf-keras-vis for many photos; `benchmarks/agreement.py` starts it.

It runs with the Python of an environment that has them, and the TensorFlow that xplique needs:

    python -m benchmarks.keras_maps QUESTION.npz ANSWER.npz

The question has ``inputs`` (N, h, w, 3), ``targets`` (N,), ``network``, the path of a ``.keras``
file whose last layer has a softmax; ``maps``, a JSON list of [tool, class, layer]. The answer is
that of `benchmarks.torch_maps`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

PACKAGES = ("tensorflow", "xplique", "tf-keras-vis")


def load(path: str) -> Any:
    """The network without its softmax."""
    model = keras.saving.load_model(path, compile=False)
    model.layers[-1].activation = keras.activations.linear
    return model


def xplique_map(model: Any, kind: str, layer: str) -> Any:
    """What it has before it resizes it."""
    import tensorflow as tf
    import xplique.attributions as tools  # type: ignore[import-not-found]

    tool = getattr(tools, kind)(model, conv_layer=layer)

    def run(photo: Any, target: int) -> Any:
        chosen = tf.one_hot([target], model.output_shape[-1])
        maps, gradients = tool._gradient(tf.constant(photo), chosen)
        return tool._apply_weights(tool._compute_weights(gradients, maps), maps)[0].numpy()

    return run


def tf_keras_vis_map(model: Any, kind: str, layer: str) -> Any:
    from tf_keras_vis import (  # type: ignore[import-not-found]
        gradcam,
        gradcam_plus_plus,
        layercam,
        scorecam,
    )
    from tf_keras_vis.utils.scores import CategoricalScore  # type: ignore[import-not-found]

    modules = (gradcam, gradcam_plus_plus, layercam, scorecam)
    tool = next(getattr(one, kind) for one in modules if kind in vars(one))(model, clone=False)

    def run(photo: Any, target: int) -> Any:
        return tool(
            CategoricalScore([target]),
            photo,
            penultimate_layer=layer,
            # With its default it takes another layer than the requested one.
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )[0]

    return run


TOOLS = {"xplique": xplique_map, "tf-keras-vis": tf_keras_vis_map}


def main() -> None:
    question = np.load(sys.argv[1], allow_pickle=False)
    path, inputs = str(question["network"]), question["inputs"]
    targets = [int(target) for target in question["targets"]]
    answer = {"scores": load(path).predict(inputs, verbose=0)}
    for number, (tool, kind, layer) in enumerate(json.loads(str(question["maps"]))):
        # Each has a model of its own, so that no change of one shows in another.
        run = TOOLS[tool](load(path), kind, layer)
        pairs = zip(inputs, targets, strict=True)
        answer[f"map_{number}"] = np.stack([run(photo[None], one) for photo, one in pairs])
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    np.savez(sys.argv[2], versions=json.dumps(versions), **answer)


if __name__ == "__main__":
    main()
