"""The kinds of layers that have a colour of their own in a network map."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """Layers of a kind, which have one colour.

    Attributes:
        key: its name in the browser.
        title: in the legend.
        light: its colour on a light page, below white text.
        dark: its colour on a dark page, below dark text.
        parts: a class of layers belongs to the first family that has a part of its name.
    """

    key: str
    title: str
    light: str
    dark: str
    parts: tuple[str, ...]


FAMILIES = (
    Family("depthwise", "Depthwise convolution", "#00788c", "#46c8dc", ("DepthwiseConv",)),
    Family("convolution", "Convolution", "#3a4fb0", "#7f95ff", ("Conv",)),
    Family("attention", "Attention", "#6b5a00", "#e9dc5a", ("Attention",)),
    Family("pooling", "Pooling", "#a14a00", "#ffa94d", ("Pool",)),
    Family("dense", "Dense", "#7b3fa8", "#c68cf2", ("Dense", "Einsum")),
    Family("normalisation", "Normalisation", "#2f7d3b", "#7bcf86", ("Normalization",)),
    Family(
        "activation",
        "Activation",
        "#b8336b",
        "#f58bb4",
        ("Activation", "ReLU", "Relu", "ELU", "Softmax", "Sigmoid", "Silu", "Gelu", "Tanh"),
    ),
    Family(
        "merge",
        "Branches meet",
        "#14202b",
        "#eaf0f4",
        ("Add", "Concat", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Dot"),
    ),
    Family("other", "Other", "#707070", "#a6a6a6", ("",)),
)


def family_of(kind: str) -> str:
    """The key of the family of a class of layers."""
    return next(one.key for one in FAMILIES if any(part in kind for part in one.parts))
