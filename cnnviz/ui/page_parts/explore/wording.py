"""A value's arithmetic in words: kinds of layers, formulas with their numbers, and sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnnviz.traces import TraceStep, ValueTrace
from cnnviz.ui.components.focus import Result
from cnnviz.ui.components.walk import Text

_WORDS = (
    "no one two three four five six seven eight nine ten eleven twelve".split()
)
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
_CUTS = {"max(x, 0)", "min(max(x, 0), highest)"}
_NORMALIZES = {"BatchNormalization", "LayerNormalization", "Normalization"}


def count(number: int) -> str:
    """A number in words up to twelve."""
    return _WORDS[number] if number < len(_WORDS) else f"{number:,}"


def short(value: float) -> str:
    """A number with three digits."""
    return _text(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}")


def result(value: float) -> str:
    """A number of a calculation, with three decimals where it is of the size of 1."""
    size = abs(value)
    if not size:
        return "0"
    if not 5e-4 <= size < 1e6:
        return _text(f"{value:.2e}")
    return _text(f"{value:,.{3 if size < 10 else 2 if size < 100 else 1}f}")


def signed(value: float) -> str:
    """A number with three digits and its sign."""
    return short(value) if value < 0 or value == 0 else f"+{short(value)}"


def kind(name: str) -> str:
    """The kind of a layer in words."""
    return _KINDS.get(name, name)


def name_of(path: str) -> str:
    """The last name of a layer's path."""
    return path.rpartition("/")[2] or path


# --- Results ----------------------------------------------------------------------------------


def sum_results(trace: ValueTrace, *, listed: bool) -> list[Result]:
    """The number that the terms give, and with the bias if that is not listed among them."""
    values = _values(trace)
    if not trace.terms:
        return [Result("Value", result(trace.total), "as the layer gave it", trace.source)]
    if passes_on(trace):
        return [Result("Value", result(trace.total), "passed on as it is", trace.source)]
    if trace.combine != "sum":
        name, formula = {
            "maximum": ("Maximum", f"the largest of the {count(values)}"),
            "minimum": ("Minimum", f"the smallest of the {count(values)}"),
            "product": ("Product", f"of the {count(values)}"),
        }[trace.combine]
        return [Result(name, result(trace.total), formula, trace.source)]
    if is_mean(trace):
        return [
            Result("Mean", result(trace.total), f"of the {count(values)} values", trace.source)
        ]
    if listed or trace.bias is None:
        what = "of all that is listed" if listed else f"of the {count(values)} products"
        return [Result("Sum", result(trace.total), what, trace.source)]
    before = trace.total - trace.bias
    formula = f"of the {count(values)} products"
    added = Result("With bias", result(trace.total), _add(before, trace.bias), trace.source)
    return [Result("Sum", result(before), formula, trace.source), added]


def step_results(trace: ValueTrace) -> list[Result]:
    """The numbers that follow; what leaves a value as it is, such as a dropout, is left out."""
    before, results = trace.total, []
    for step in trace.steps:
        if step.formula != "x":
            formula = _cut(step, before) if step.formula in _CUTS else filled(step, before)
            results.append(Result(_step_name(step), result(step.value), formula, step.layer))
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


def _step_name(step: TraceStep) -> str:
    if step.formula in _CUTS:
        highest = step.numbers.get("highest")
        return "ReLU" if highest is None else f"ReLU, at most {short(highest)}"
    return kind(step.kind) if step.kind[:1].isupper() else step.kind.replace("_", " ").capitalize()


def _cut(step: TraceStep, before: float) -> str:
    highest = step.numbers.get("highest")
    if before < 0:
        return "below 0: becomes 0"
    if highest is None:
        return "not below 0: unchanged"
    if before > highest:
        return f"above {short(highest)}: becomes {short(highest)}"
    return f"between 0 and {short(highest)}: unchanged"


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


def _values(trace: ValueTrace) -> int:
    """How many inputs the value is made of."""
    return (len(trace.terms) + trace.others) * (trace.terms[0].inputs.size if trace.terms else 0)


# --- Sentences --------------------------------------------------------------------------------


def subtitle(trace: ValueTrace) -> str:
    """Where the value is, and what makes it."""
    place = [] if trace.shape[:2] in {(1, 1)} or len(trace.shape) == 1 else [
        f"row {trace.row}", f"column {trace.column}"
    ]
    if trace.target is not None:
        return f"Evidence for {trace.target}, {', '.join(place)}: channel × weight of the class."
    what = "unit" if len(trace.shape) == 1 else "channel"
    parts = [kind(trace.source_kind)]
    if trace.terms and trace.terms[0].inputs.size > 1:
        parts.append(" × ".join(map(str, trace.terms[0].inputs.shape)))
        step = stride(trace)
        parts += [f"stride {step}"] if step and step > 1 else []
    elif "Conv" in trace.source_kind and trace.terms:
        parts.append("1 × 1")
    return (
        f"{name_of(trace.layer)}, {', '.join([f'{what} {trace.channel}', *place])}. "
        f"{', '.join(parts)}."
    )


def stride(trace: ValueTrace) -> int | None:
    """The distance of two cells' patches, where the shapes and the patch allow one alone."""
    if len(trace.shape) != 3 or not trace.terms or not trace.inputs or not trace.row:
        return None
    sizes = trace.inputs[0].shape[0], trace.shape[0]
    rows = trace.terms[0].rows
    taps = len(rows)
    fitting = [
        step
        for step in range(1, 9)
        if (-(-sizes[0] // step) == sizes[1] or (sizes[0] - taps) // step + 1 == sizes[1])
        and 0 <= step * trace.row - rows[0] < taps
    ]
    return fitting[0] if len(fitting) == 1 else None


def sentence(trace: ValueTrace) -> Text:
    """The whole arithmetic in words, with the value at its end."""
    if not trace.terms:
        return [(f"{_sees(trace)} {trace.note}".strip(), "")]
    said = ", ".join([*_sum_words(trace), *_step_words(trace)])
    said = said[0].upper() + said[1:]
    parts: list[tuple[str, str]] = [(f"{_sees(trace)} {said}: ".lstrip(), "")]
    if trace.target is None:
        return [*parts, (short(trace.value), "strong"), (".", "")]
    style = "for" if trace.value > 0 else "against"
    return [
        *parts,
        (signed(trace.value), style),
        (f". That is the evidence for {trace.target} here.", ""),
    ]


def _sees(trace: ValueTrace) -> str:
    field = trace.field
    if field.box is None:
        return "This value depends on no pixel of the photo."
    height, width = field.box.bottom - field.box.top, field.box.right - field.box.left
    what = "unit" if len(trace.shape) == 1 else "cell"
    if (height, width) == field.size:
        return f"This {what} sees all that the network saw."
    if (height, width) == (1, 1):
        return f"This {what} sees one pixel of the photo."
    most = "" if field.exact else "at most "
    return f"This {what} sees {most}{width} × {height} pixels of the photo."


def _sum_words(trace: ValueTrace) -> list[str]:
    values = _values(trace)
    if trace.target is not None:
        return [f"{count(values)} channels, each times its weight", "added up"]
    if passes_on(trace):
        term = trace.terms[0]
        return [f"the value of channel {term.channel} of {name_of(term.layer)}, passed on"]
    if is_mean(trace):
        return [f"the mean of {count(values)} values"]
    match trace.combine:
        case "maximum" | "minimum":
            which = "largest" if trace.combine == "maximum" else "smallest"
            return [f"the {which} of {count(values)} values"]
        case "product":
            return [f"{count(values)} values, multiplied"]
    if all((term.weights == 1).all() for term in trace.terms) and trace.bias is None:
        return [f"{count(values)} values", "added up"]
    bias = " with a bias" if trace.bias is not None else ""
    return [f"{count(values)} inputs times {count(values)} weights", f"added up{bias}"]


def _step_words(trace: ValueTrace) -> list[str]:
    return [_step_word(step) for step in trace.steps if step.formula != "x"]


def _step_word(step: TraceStep) -> str:
    if step.formula in _CUTS:
        highest = step.numbers.get("highest")
        return "cut off at 0" + ("" if highest is None else f" and {short(highest)}")
    if step.kind in _NORMALIZES:
        return "normalized"
    if step.kind == "Rescaling":
        return "rescaled"
    return f"then {_step_name(step)}"


def caption(trace: ValueTrace) -> Text:
    """Of the receptive field."""
    box, (height, width) = trace.field.box, trace.field.size
    if box is None:
        return [("Receptive field", "strong"), (": no pixel", "")]
    most = "" if trace.field.exact else "at most "
    sides = f"{box.right - box.left} × {box.bottom - box.top}"
    return [("Receptive field", "strong"), (f": {most}{sides} of {width} × {height} pixels", "")]


def _text(number: str) -> str:
    return number.replace("-", "−")


def of_others(trace: ValueTrace) -> Sequence[str]:
    """The names of the parts that are added up besides the terms."""
    what = "unit" if trace.inputs and trace.inputs[0].shape[:2] == (1, 1) else "channel"
    plural = "s" if trace.others > 1 else ""
    return [
        *([f"{trace.others:,} other {what}{plural}"] if trace.others else []),
        *(["bias"] if trace.bias is not None else []),
    ]
