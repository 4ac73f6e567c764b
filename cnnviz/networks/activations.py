"""Activations of one value in NumPy, with their formulas, by the names that Keras gives them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnviz.arrays import Floats

# The formula, in terms of the value x, and the numbers in it; and the new value.
Activated = tuple[str, dict[str, float], float]

SOFTMAXES = ("softmax", "log_softmax")

# From `selu`'s paper: Klambauer et al. 2017.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805

# Names that mean the same.
_SAME = {
    "hardswish": "hardsilu",
    "swish": "silu",
    "leakyrelu": "leakyrelu",
}


def _plain(name: str) -> str:
    plain = name.lower().replace("_", "")
    return _SAME.get(plain, plain)


def is_known(name: str) -> bool:
    """Whether an activation, by its name or class, is one of those below."""
    return _plain(name) in {*_WITH_SETTINGS, *_SIMPLE, "softmax", "logsoftmax"}


def highest_value(kind: str, settings: dict[str, Any] | None) -> float | None:
    """The largest value that a layer can give because its ReLU is cut off; None without one.

    Args:
        kind: the layer's class.
        settings: of the layer, by Keras's names.
    """
    settings = settings or {}
    if kind == "ReLU":
        own = settings
    else:
        own = settings.get("activation") or {}
        if _plain(str(own.get("kind", ""))) == "relu6":
            return 6.0
        if _plain(str(own.get("kind", ""))) != "relu":
            return None
    highest = own.get("max_value")
    return None if highest is None else float(highest)


def activate(name: str, settings: dict[str, Any], x: float, cell: Floats | None) -> Activated:
    """Applies an activation to one value.

    Args:
        name: of the activation.
        settings: of the activation, by Keras's names.
        x: the value.
        cell: (K,) the values of all channels, which a softmax needs.
    """
    plain = _plain(name)
    if plain in {"softmax", "logsoftmax"} and cell is not None:
        return _softmax(plain, x, np.asarray(cell, np.float64))
    if plain in _WITH_SETTINGS:
        return _WITH_SETTINGS[plain](settings, x)
    formula, function = _SIMPLE[plain]
    return formula, {}, function(x)


def _softmax(name: str, x: float, cell: Floats) -> Activated:
    # The value itself takes its place among the others by the largest, which it may be.
    highest = float(cell.max())
    total = float(np.exp(cell - highest).sum())
    if name == "logsoftmax":
        return (
            "x − log Σ e^x",
            {"log Σ e^x": highest + math.log(total)},
            (x - highest - math.log(total)),
        )
    share = math.exp(x - highest) / total
    return (
        "e^(x − highest) / Σ e^(… − highest)",
        {
            "highest": highest,
            "Σ e^(… − highest)": total,
        },
        share,
    )


def _relu(settings: dict[str, Any], x: float) -> Activated:
    slope = float(settings.get("negative_slope") or 0)
    threshold = float(settings.get("threshold") or 0)
    highest = settings.get("max_value")
    below = slope * (x - threshold) if slope else 0.0
    value = below if x <= threshold else x
    numbers = {"threshold": threshold} if threshold else {}
    if slope:
        numbers["slope"] = slope
    lowest = "threshold" if threshold else "0"
    other = "0" if not slope else f"slope · (x − {lowest})" if threshold else "slope · x"
    formula = f"x above {lowest}, else {other}" if slope or threshold else "max(x, 0)"
    if highest is not None:
        numbers["highest"] = float(highest)
        formula = f"min({formula}, highest)"
        value = min(value, float(highest))
    return formula, numbers, value


def _relu6(settings: dict[str, Any], x: float) -> Activated:
    return _relu({"max_value": 6.0}, x)


def _leaky_relu(settings: dict[str, Any], x: float) -> Activated:
    return _relu({"negative_slope": settings.get("negative_slope", 0.2)}, x)


def _elu(settings: dict[str, Any], x: float) -> Activated:
    alpha = float(settings.get("alpha", 1.0))
    value = x if x > 0 else alpha * math.expm1(x)
    return "x above 0, else alpha · (e^x − 1)", {"alpha": alpha}, value


def _gelu(settings: dict[str, Any], x: float) -> Activated:
    if settings.get("approximate", False):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return (
            "x · (1 + tanh(√(2/π) · (x + 0.044715 · x^3))) / 2",
            {},
            x * (1 + math.tanh(inner)) / 2,
        )
    return "x · (1 + erf(x / √2)) / 2", {}, x * (1 + math.erf(x / math.sqrt(2))) / 2


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _hard_sigmoid(x: float) -> float:
    return min(max(x + 3, 0.0), 6.0) / 6


def _selu(x: float) -> float:
    return _SELU_SCALE * (x if x > 0 else _SELU_ALPHA * math.expm1(x))


_WITH_SETTINGS = {
    "elu": _elu,
    "gelu": _gelu,
    "leakyrelu": _leaky_relu,
    "relu": _relu,
    "relu6": _relu6,
}
_SIMPLE: dict[str, tuple[str, Callable[[float], float]]] = {
    "exponential": ("e^x", lambda x: float(np.exp(x))),
    "hardsigmoid": ("(x + 3) / 6, from 0 to 1", _hard_sigmoid),
    "hardsilu": ("x · ((x + 3) / 6, from 0 to 1)", lambda x: x * _hard_sigmoid(x)),
    "keras2hardsigmoid": (
        "0.2 · x + 0.5, from 0 to 1",
        lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
    ),
    "linear": ("x", lambda x: x),
    "logsigmoid": ("−log(1 + e^(−x))", lambda x: -_softplus(-x)),
    "mish": ("x · tanh(log(1 + e^x))", lambda x: x * math.tanh(_softplus(x))),
    "selu": ("1.0507 · (x above 0, else 1.6733 · (e^x − 1))", _selu),
    "sigmoid": ("1 / (1 + e^(−x))", _sigmoid),
    "silu": ("x / (1 + e^(−x))", lambda x: x * _sigmoid(x)),
    "softplus": ("log(1 + e^x)", _softplus),
    "softsign": ("x / (1 + |x|)", lambda x: x / (1 + abs(x))),
    "tanh": ("tanh(x)", math.tanh),
}
