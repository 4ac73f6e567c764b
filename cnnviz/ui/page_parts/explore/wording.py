"""A value's arithmetic in words: kinds of layers, formulas with their numbers, and sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnnviz import numerals
from cnnviz.numerals import written
from cnnviz.traces import TraceStep, ValueTrace
from cnnviz.ui.components.focus import Result

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_KINDS = {
    "Add": "Sum of layers",
    "Average": "Mean of layers",
    "AveragePooling2D": "Average pooling",
    "BatchNormalization": "Batch normalization",
    "Concatenate": "Concatenation",
    "Conv2D": "Convolution",
    "Conv2DTranspose": "Transposed convolution",
    "Dense": "Dense layer",
    "DepthwiseConv2D": "Depthwise convolution",
    "GlobalAveragePooling2D": "Global average pooling",
    "GlobalMaxPooling2D": "Global max pooling",
    "InputLayer": "Input of the network",
    "LayerNormalization": "Layer normalization",
    "MaxPooling2D": "Max pooling",
    "Multiply": "Product of layers",
    "SeparableConv2D": "Separable convolution",
    "UpSampling2D": "Enlargement",
    "ZeroPadding2D": "Padding with zeros",
}
# Formulas of activations that say no more than a cut does.
CUTS = {"max(x, 0)", "min(max(x, 0), highest)"}


def count(number: int) -> str:
    """A number in words up to ten."""
    return _WORDS[number] if number < len(_WORDS) else f"{number:,}"


def result(value: float) -> str:
    """A number of a calculation, with three decimals where it is of the size of 1."""
    size = abs(value)
    if not size:
        return "0"
    if not 5e-4 <= size < 1e6:
        return written(value, ".2e")
    return written(value, f",.{3 if size < 10 else 2 if size < 100 else 1}f")


def kind(name: str) -> str:
    """The kind of a layer in words."""
    return _KINDS.get(name, name)


def name_of(path: str) -> str:
    """The last name of a layer's path."""
    return path.rpartition("/")[2] or path


# --- Results ----------------------------------------------------------------------------------


def sum_results(trace: ValueTrace, *, listed: bool) -> list[Result]:
    """The number that the terms give, and with the bias if that is not listed among them."""
    number = values(trace)
    if not trace.terms:
        giver = "network takes" if trace.source_kind == "InputLayer" else "layer gave"
        return [Result("Value", result(trace.total), f"as the {giver} it", trace.source)]
    if passes_on(trace):
        return [Result("Value", result(trace.total), "passed on as it is", trace.source)]
    if trace.combine != "sum":
        name, formula = {
            "maximum": ("Maximum", f"the largest of the {count(number)}"),
            "minimum": ("Minimum", f"the smallest of the {count(number)}"),
            "product": ("Product", f"of the {count(number)}"),
        }[trace.combine]
        return [Result(name, result(trace.total), formula, trace.source)]
    if is_mean(trace):
        return [Result("Mean", result(trace.total), f"of the {count(number)} values", trace.source)]
    if listed or trace.bias is None:
        what = "of all listed" if listed else f"of the {count(number)} products"
        return [Result("Sum", result(trace.total), what, trace.source)]
    before = trace.total - trace.bias
    formula = f"of the {count(number)} products"
    added = Result("With bias", result(trace.total), _add(before, trace.bias), trace.source)
    return [Result("Sum", result(before), formula, trace.source), added]


def step_results(trace: ValueTrace) -> list[Result]:
    """The numbers that follow; what leaves a value as it is, such as a dropout, is left out."""
    before, results = trace.total, []
    for step in trace.steps:
        if step.formula != "x":
            formula = _cut(step, before) if step.formula in CUTS else filled(step, before)
            results.append(Result(step_name(step), result(step.value), formula, step.layer))
        before = step.value
    return results


def filled(step: TraceStep, before: float) -> str:
    """A step's formula with its numbers: "(1.695 − 0.173) · 1.872 + 0.402"."""
    numbers = {**step.numbers, "x": before}
    names = sorted(numbers, key=len, reverse=True)
    pattern = r"([−+]\s)?(?<!\w)(?:" + "|".join(map(re.escape, names)) + r")(?!\w)"

    def number(match: re.Match[str]) -> str:
        sign = match[1] or ""
        value = numbers[match[0].removeprefix(sign)]
        if value >= 0 or match.start() == 0:
            return sign + result(value)
        if sign:
            return ("+ " if sign[0] == "−" else "− ") + result(-value)
        opened = step.formula[match.start() - 1] == "("
        return result(value) if opened else f"({result(value)})"

    return re.sub(pattern, number, step.formula)


def _add(one: float, other: float) -> str:
    return f"{result(one)} {'−' if other < 0 else '+'} {result(abs(other))}"


def step_name(step: TraceStep) -> str:
    """What a step does."""
    if step.formula in CUTS:
        highest = step.numbers.get("highest")
        return "ReLU" if highest is None else f"ReLU, at most {numerals.number(highest)}"
    return kind(step.kind) if step.kind[:1].isupper() else step.kind.replace("_", " ").capitalize()


def _cut(step: TraceStep, before: float) -> str:
    highest = step.numbers.get("highest")
    if before < 0:
        return "below 0: becomes 0"
    if highest is None:
        return "above 0: unchanged" if before else "unchanged"
    if before > highest:
        return f"above {numerals.number(highest)}: becomes {numerals.number(highest)}"
    return f"between 0 and {numerals.number(highest)}: unchanged"


# --- What kind of sum it is -------------------------------------------------------------------


def is_mean(trace: ValueTrace) -> bool:
    """Whether the value is the mean of its inputs."""
    return "Average" in trace.source_kind or trace.source_kind == "Mean"


def passes_on(trace: ValueTrace) -> bool:
    """Whether the value is that of one input cell, as it is."""
    return (
        len(trace.terms) == 1
        and trace.terms[0].inputs.size == 1
        and float(trace.terms[0].weights[0, 0]) == 1
        and not trace.others
        and trace.bias is None
    )


def values(trace: ValueTrace) -> int:
    """How many inputs the value is made of."""
    return (len(trace.terms) + trace.others) * (trace.terms[0].inputs.size if trace.terms else 0)


def of_others(trace: ValueTrace) -> Sequence[str]:
    """The names of the parts that are added up besides the terms."""
    others = [f"{trace.others:,} other{'s' if trace.others > 1 else ''}"] if trace.others else []
    return [*others, *([] if trace.bias is None else ["bias"])]
