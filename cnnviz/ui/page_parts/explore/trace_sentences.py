"""What a value's arithmetic says in sentences."""

from __future__ import annotations

from cnnviz import numerals
from cnnviz.traces import TraceStep, ValueTrace
from cnnviz.ui.components.walk import Text
from cnnviz.ui.page_parts.explore import wording

_NORMALIZES = {"BatchNormalization", "LayerNormalization", "Normalization"}


def subtitle(trace: ValueTrace) -> str:
    """Where the value is, and what makes it."""
    place = (
        []
        if trace.shape[:2] in {(1, 1)} or len(trace.shape) == 1
        else [f"row {trace.row}", f"column {trace.column}"]
    )
    if trace.target is not None:
        return f"Evidence for {trace.target}, {', '.join(place)}: channel × weight of the class."
    what = "unit" if len(trace.shape) == 1 else "channel"
    parts = [wording.kind(trace.source_kind)]
    if trace.terms and trace.terms[0].inputs.size > 1:
        parts.append(" × ".join(map(str, trace.terms[0].inputs.shape)))
        step = stride(trace)
        parts += [f"stride {step}"] if step and step > 1 else []
    elif "Conv" in trace.source_kind and trace.terms:
        parts.append("1 × 1")
    return (
        f"{wording.name_of(trace.layer)}, {', '.join([f'{what} {trace.channel}', *place])}. "
        f"{', '.join(parts)}."
    )


def stride(trace: ValueTrace) -> int | None:
    """The distance of two cells' patches, where the shapes and the patch allow one alone."""
    if len(trace.shape) != 3 or not trace.terms or not trace.inputs:
        return None
    axis = 0 if trace.row else 1
    at = (trace.row, trace.column)[axis]
    sizes = trace.inputs[0].shape[axis], trace.shape[axis]
    read = (trace.terms[0].rows, trace.terms[0].columns)[axis]
    taps = len(read)
    fitting = [
        step
        for step in range(1, 9)
        if (-(-sizes[0] // step) == sizes[1] or (sizes[0] - taps) // step + 1 == sizes[1])
        and 0 <= step * at - read[0] < taps
    ]
    return fitting[0] if at and len(fitting) == 1 else None


def sentence(trace: ValueTrace) -> Text:
    """The whole arithmetic in words, with the value at its end."""
    if not trace.terms:
        return [(f"{_sees(trace)} {trace.note}".strip(), "")]
    said = ", ".join([*_sum_words(trace), *_step_words(trace)])
    said = said[0].upper() + said[1:]
    parts: list[tuple[str, str]] = [(f"{_sees(trace)} {said}: ".lstrip(), "")]
    if trace.target is None:
        return [*parts, (numerals.number(trace.value), "strong"), (".", "")]
    style = "for" if trace.value > 0 else "against"
    return [
        *parts,
        (numerals.signed(trace.value), style),
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
        return f"This {what} sees one pixel of what the network saw."
    most = "" if field.exact else "at most "
    whole = " × ".join(map(str, field.size))
    return f"This {what} sees {most}{height} × {width} of {whole} pixels."


def _sum_words(trace: ValueTrace) -> list[str]:
    number = wording.values(trace)
    if trace.target is not None:
        return [f"{wording.count(number)} channels, each times its weight", "added up"]
    if wording.passes_on(trace):
        term = trace.terms[0]
        return [f"the value of channel {term.channel} of {wording.name_of(term.layer)}, passed on"]
    if wording.is_mean(trace):
        return [f"the mean of {wording.count(number)} values"]
    match trace.combine:
        case "maximum" | "minimum":
            which = "largest" if trace.combine == "maximum" else "smallest"
            return [f"the {which} of {wording.count(number)} values"]
        case "product":
            return [f"{wording.count(number)} values, multiplied"]
    if all((term.weights == 1).all() for term in trace.terms) and trace.bias is None:
        return [f"{wording.count(number)} values", "added up"]
    bias = " with a bias" if trace.bias is not None else ""
    return [
        f"{wording.count(number)} inputs times {wording.count(number)} weights",
        f"added up{bias}",
    ]


def _step_words(trace: ValueTrace) -> list[str]:
    return [_step_word(step) for step in trace.steps if step.formula != "x"]


def _step_word(step: TraceStep) -> str:
    if step.formula in wording.CUTS:
        highest = step.numbers.get("highest")
        return "cut off at 0" + ("" if highest is None else f" and {numerals.number(highest)}")
    if step.kind in _NORMALIZES:
        return "normalized"
    if step.kind == "Rescaling":
        return "rescaled"
    return f"then {wording.step_name(step)}"


def caption(trace: ValueTrace) -> Text:
    """Of the receptive field."""
    box, (height, width) = trace.field.box, trace.field.size
    if box is None:
        return [("Receptive field", "strong"), (": no pixel", "")]
    most = "" if trace.field.exact else "at most "
    sides = f"{box.bottom - box.top} × {box.right - box.left}"
    return [("Receptive field", "strong"), (f": {most}{sides} of {height} × {width} pixels", "")]
