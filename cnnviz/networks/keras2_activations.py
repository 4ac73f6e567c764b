"""Activations that Keras 3 computes in another way than Keras 2 did, under the same name."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("cnnviz")
def keras2_hard_sigmoid(x: Any) -> Any:
    """Keras 2's `hard_sigmoid`, clip(0.2 x + 0.5, 0, 1); Keras 3's is relu6(x + 3) / 6.

    `inspection.keras2` writes its name into the description of a Keras 2 model.
    """
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)
