"""Traces worked out in NumPy: of one cell of a few kinds of layers, and of a class map."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from cnnviz.results import Box
from cnnviz.traces import ReceptiveField, TraceInput, TraceStep, TraceTerm, ValueTrace

_random = np.random.default_rng(4)
# A depthwise convolution of stride 2 on 8×8 maps, whose last row and column are padding.
INPUT = _random.uniform(0, 6, (8, 8, 3)).round(2)
KERNEL = np.array([[0.25, 0.18, -0.08], [0.16, 0.31, 0.18], [-0.07, 0.15, 0.17]])
MEAN, SCALE, SHIFT = -0.2, 0.9, 0.4
# What a class map weighs: 14 channels of 4×4.
MAPS = _random.uniform(0, 6, (4, 4, 14)).round(2)
WEIGHTS = _random.normal(0, 0.2, 14).round(3)

_FIELD = ReceptiveField((32, 32), Box(4, 8, 20, 24), 256, exact=True, photo=None)


def _trace(**changes: Any) -> ValueTrace:
    shape = changes.pop("shape", (4, 4, 3))
    value = changes["value"]
    plain = ValueTrace(
        layer="block/act",
        kind="ReLU",
        row=3,
        column=2,
        channel=1,
        target=None,
        shape=shape,
        value=value,
        largest=abs(value),
        field=_FIELD,
        source="block/conv",
        source_kind="DepthwiseConv2D",
        inputs=(TraceInput("block/before", (8, 8, 3), Box(4, 6, 7, 8)),),
        combine="sum",
        terms=(),
        others=0,
        rest=0.0,
        bias=None,
        total=value,
        steps=(),
        result=value,
        note="",
    )
    return dataclasses.replace(plain, **changes)


def convolution() -> ValueTrace:
    """Row 3, column 2 of channel 1: kernel, batch normalization and ReLU6."""
    patch = np.zeros((3, 3))
    patch[:2] = INPUT[6:8, 4:7, 1]
    total = float((patch * KERNEL).sum())
    normalized = (total - MEAN) * SCALE + SHIFT
    value = min(max(normalized, 0.0), 6.0)
    steps = (
        TraceStep(
            "block/bn",
            "BatchNormalization",
            "(x − mean) · scale + shift",
            {"mean": MEAN, "scale": SCALE, "shift": SHIFT},
            normalized,
        ),
        TraceStep("block/drop", "Dropout", "x", {}, normalized),
        TraceStep("block/act", "ReLU", "min(max(x, 0), highest)", {"highest": 6.0}, value),
    )
    term = TraceTerm("block/before", 1, (6, 7, 8), (4, 5, 6), patch, KERNEL, total)
    return _trace(value=value, terms=(term,), total=total, steps=steps)


def pooling() -> ValueTrace:
    """The largest of 2×2 cells of channel 1."""
    patch = INPUT[6:8, 4:6, 1]
    term = TraceTerm("block/before", 1, (6, 7), (4, 5), patch, np.ones((2, 2)), float(patch.max()))
    return _trace(
        value=float(patch.max()),
        source="block/act",
        source_kind="MaxPooling2D",
        kind="MaxPooling2D",
        combine="maximum",
        terms=(term,),
    )


def class_map() -> ValueTrace:
    """Row 1, column 2 of the map of "cat": channel × weight."""
    products = MAPS[1, 2] * WEIGHTS
    order = np.argsort(-np.abs(products), kind="stable")
    terms = tuple(
        TraceTerm(
            "block/act",
            int(k),
            (1,),
            (2,),
            MAPS[1, 2, k].reshape(1, 1),
            WEIGHTS[k].reshape(1, 1),
            float(products[k]),
        )
        for k in order[:10]
    )
    return _trace(
        value=float(products.sum()),
        row=1,
        column=2,
        channel=0,
        target="cat",
        shape=(4, 4),
        source="block/act",
        source_kind="ReLU",
        inputs=(TraceInput("block/act", (4, 4, 14), Box(2, 1, 3, 2)),),
        terms=terms,
        others=4,
        rest=float(products[order[10:]].sum()),
    )


def dense() -> ValueTrace:
    """A unit of two inputs, with a bias."""
    terms = tuple(
        TraceTerm("units", k, (0,), (0,), np.array([[x]]), np.array([[w]]), x * w)
        for k, x, w in ((0, 2.0, 0.5), (1, 1.0, -3.0))
    )
    return _trace(
        value=0.0,
        layer="dense",
        source="dense",
        source_kind="Dense",
        kind="Dense",
        shape=(4,),
        row=0,
        column=0,
        inputs=(TraceInput("units", (1, 1, 2), Box(0, 0, 1, 1)),),
        terms=terms,
        bias=0.25,
        total=-1.75,
        steps=(TraceStep("dense", "relu", "max(x, 0)", {}, 0.0),),
        result=0.0,
    )


def unknown() -> ValueTrace:
    """A value whose arithmetic is not spelled out."""
    return _trace(value=1.5, source="block/act", note="How it computes is not spelled out here.")
