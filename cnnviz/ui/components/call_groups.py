"""Groups the calls of a network: into units, blocks, and blocks of one resolution.

`diagrams` says what these are.
"""

from __future__ import annotations

from collections.abc import Sequence

from cnnviz.results import LayerCall
from cnnviz.ui.components.layer_families import family_of

# Branches of more layers than this are no block: folded, it would say nothing.
_LARGEST_BLOCK = 80
_FOLLOWERS = {"normalisation", "activation"}

# The calls of a block, by its units.
Group = list[list[LayerCall]]
# Rows and columns, or positions; () of single values.
Size = tuple[int, ...]


def grouped(calls: Sequence[LayerCall]) -> list[Group]:
    """The calls as blocks, in the order in which they are drawn."""
    groups: list[Group] = []
    for segment in _segments(calls):
        if _is_block(segment):
            groups.append(_units(_by_branch(segment)))
        else:
            groups += [[unit] for unit in _units(segment)]
    # What follows a layer in a segment of its own is part of that layer's unit; of a block, only an
    # activation where its branches meet.
    merged: list[Group] = []
    for group in groups:
        (first, *others), *units = group
        before = merged[-1] if merged else []
        single = not (others or units) and bool(before)
        if single and _follows(first, before[-1][-1]) and _may_join(first, before):
            before[-1].append(first)
        else:
            merged.append(group)
    return merged


def _may_join(call: LayerCall, group: Group) -> bool:
    return len(group) == 1 or family_of(call.kind) == "activation"


def _segments(calls: Sequence[LayerCall]) -> list[list[LayerCall]]:
    """The calls, cut wherever all that comes later needs one output alone: the last one."""
    last_reader = {path: at for at, call in enumerate(calls) for path in call.inputs}
    segments: list[list[LayerCall]] = [[]]
    # The last call that reads an output of one before the current call.
    needed = -1
    for at, call in enumerate(calls):
        segments[-1].append(call)
        if needed <= at:
            segments.append([])
        needed = max(needed, last_reader.get(call.path, at))
    return [segment for segment in segments if segment]


def _is_block(segment: Sequence[LayerCall]) -> bool:
    """Whether branches part and meet again in one model, within one resolution.

    Single values of channels, such as those of a squeeze-and-excitation, are no other resolution.
    """
    sizes = {_size(call) for call in segment} - {None, ()}
    models = {model_of(call.path) for call in segment}
    return 1 < len(segment) <= _LARGEST_BLOCK and len(models) == 1 and sizes <= {_size(segment[-1])}


def _by_branch(segment: Sequence[LayerCall]) -> list[LayerCall]:
    """The calls of a block, one branch after the other."""
    inside = {call.path: call for call in segment}
    waiting = {call.path: sum(path in inside for path in call.inputs) for call in segment}
    ready = [call for call in reversed(segment) if not waiting[call.path]]
    ordered = []
    while ready:
        call = ready.pop()
        ordered.append(call)
        for reader in reversed(segment):
            if call.path in reader.inputs:
                waiting[reader.path] -= 1
                if not waiting[reader.path]:
                    ready.append(reader)
    return ordered


def _units(calls: Sequence[LayerCall]) -> list[list[LayerCall]]:
    units: list[list[LayerCall]] = []
    for call in calls:
        if units and _follows(call, units[-1][-1]):
            units[-1].append(call)
        else:
            units.append([call])
    return units


def _follows(call: LayerCall, before: LayerCall) -> bool:
    """Whether a call continues the unit of the one before."""
    follower = family_of(call.kind) in _FOLLOWERS or "Dropout" in call.kind
    alone = call.inputs == (before.path,) and model_of(call.path) == model_of(before.path)
    return follower and alone and before.kind != "InputLayer"


def by_size(groups: Sequence[Group]) -> list[tuple[Size, list[Group]]]:
    """The blocks by resolution, as long as it stays the same; it stays where it is not known."""
    bands: list[tuple[Size, list[Group]]] = []
    for group in groups:
        size = _size(group[-1][-1])
        if bands and size in {None, bands[-1][0]}:
            bands[-1][1].append(group)
        else:
            bands.append((size or (), [group]))
    return bands


def _size(call: LayerCall) -> Size | None:
    # What pads or crops prepares for the layer that follows.
    if call.shape is None or "Padding" in call.kind or "Cropping" in call.kind:
        return None
    size = call.shape[:-1]
    return () if set(size) == {1} else size


def model_of(path: str) -> str:
    """The path of the model that a call is in; empty for the network itself."""
    return path.rpartition("/")[0]
