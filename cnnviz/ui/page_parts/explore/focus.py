"""What a click in the walk shows in place of the wall, from the library's answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from cnnviz import numerals
from cnnviz.arrays import Floats
from cnnviz.drawing import Shading, finite
from cnnviz.errors import CnnvizError, LayerError
from cnnviz.results import Outline
from cnnviz.traces import ValueTrace
from cnnviz.ui import shell
from cnnviz.ui.components import focus, modules, scenes, viewer
from cnnviz.ui.components.focus import Asked, Channels, Content, Failure, Frame, StripTile
from cnnviz.ui.components.walk import WalkEvent
from cnnviz.ui.page_parts import activations, filters
from cnnviz.ui.page_parts.explore import (
    answers,
    arithmetic,
    content,
    filter_of,
    strips,
    trace_sentences,
    wording,
)
from cnnviz.ui.scene import Scene

# The events that are answered here.
ACTIONS = ("cell", "map", "stage", "channel", "home", "filters", "activations")
_KEY = "focus of the walk"
_LINK = "page that the walk leads to"
# What chooses a layer on the page that a link leads to.
_PAGES = {"filters": filters.put_layer, "activations": activations.put_layer}


def keep(event: WalkEvent) -> None:
    """Remembers what a person asked for; "home" leads back to the wall."""
    if event.action in _PAGES:
        st.session_state[_LINK] = event
        return
    _, attempts = st.session_state.get(_KEY, (None, 0))
    st.session_state[_KEY] = (None if event.action == "home" else event, attempts + 1)


def shown(scene: Scene, walk: str) -> Content | None:
    """What is shown in place of the wall; None for the wall.

    Args:
        scene: model and photo.
        walk: the id of the walk: what was asked for in another one is forgotten.
    """
    event, attempts = st.session_state.get(_KEY, (None, 0))
    if event is None or event.scene != walk:
        return None
    asked = Asked(event.action, event.name, event.channel, event.row, event.column)
    try:
        return build(scene, asked)
    except CnnvizError as error:
        frame = Frame(asked, wording.name_of(asked.name or ""), "No answer", "", ())
        return Failure(frame, attempts, str(error))


def follow_link(scene: Scene) -> None:
    """Turns to the page of a link that was clicked."""
    event = st.session_state.pop(_LINK, None)
    if event is not None and event.name in {layer.path for layer in scene.outline.layers}:
        _PAGES[event.action](scene, event.name)
        st.switch_page(shell.page_path(event.action))


def build(scene: Scene, asked: Asked) -> Content:
    """The content that answers an event.

    Raises:
        CnnvizError: the network gives no such value, or no answer.
    """
    if asked.name is None:
        raise LayerError("There is no layer of that name.")
    functions = {"cell": _cell, "map": _map, "stage": _stage, "channel": _channel}
    return functions[asked.action](scene, asked, asked.name)


# --- The four contents ------------------------------------------------------------------------


def _cell(scene: Scene, asked: Asked, path: str) -> Content:
    place = asked.row or 0, asked.column or 0
    channel = asked.channel or 0
    trace = scene.trace(path, *place, channel)
    values = _maps(scene)(path)
    drawn = here = None
    # The process of an untrusted model may give other maps than the trace is about.
    if values is not None and channel < values.shape[-1]:
        shading = _shading(scene, path, values)
        here = strips.layer_tile(path, values, channel, shading)
        if values.size > 1:
            drawn = arithmetic.layer_map(path, values, channel, place, shading)
    frame = _frame(
        scene,
        asked,
        label=f"{wording.name_of(path)} {channel} ({place[0]}, {place[1]})",
        title=f"Where does {numerals.number(trace.value)} come from?",
        subtitle=trace_sentences.subtitle(trace),
        here=here,
    )
    return _arithmetic(scene, trace, frame, drawn)


def _map(scene: Scene, asked: Asked, target: str) -> Content:
    place = asked.row or 0, asked.column or 0
    maps = answers.on_screen(scene).explanation.maps
    cam = next((one for one in maps if one.target == target), None)
    if cam is None:
        (cam,) = scene.explanation((target,)).maps
    limit = content.limit_of((*maps, cam))
    trace = scene.trace_map(cam, *place)
    frame = _frame(
        scene,
        asked,
        label=f"map of {target} ({place[0]}, {place[1]})",
        title=f"Where does {numerals.signed(trace.value)} come from?",
        subtitle=trace_sentences.subtitle(trace),
        here=strips.class_tile(cam, limit),
    )
    return _arithmetic(scene, trace, frame, arithmetic.class_map(cam, limit, place))


def _arithmetic(
    scene: Scene, trace: ValueTrace, frame: Frame, drawn: focus.CellMap | None
) -> Content:
    box = arithmetic.field_on_photo(trace, *scene.photo.size, scene.preprocessing)
    colours = _colours(scene.outline, trace)
    return arithmetic.build(trace, frame, drawn, _maps(scene), box, colours)


def _stage(scene: Scene, asked: Asked, path: str) -> Content:
    maps = scene.activations(path)
    if maps.ndim != 3:
        raise LayerError(f"The layer {path!r} gives one number a unit, and no maps.")
    height, width, total = maps.shape
    shading = _shading(scene, path, maps)
    frame = _frame(
        scene,
        asked,
        label=wording.name_of(path),
        title=f"All {total:,} channels" if total > 1 else "The one channel",
        subtitle=f"{wording.name_of(path)}, {height} × {width}, the strongest first.",
        here=strips.layer_tile(path, maps, None, shading),
    )
    return channels(maps, frame, path, shading)


def channels(maps: Floats, frame: Frame, path: str, shading: Shading) -> Channels:
    """All maps (h, w, K) of a layer as a grid, those that vary most over the photo first."""
    drawn = finite(maps)
    deviations = np.nan_to_num(drawn).std(axis=(0, 1))
    order = np.argsort(-deviations, kind="stable")
    ends = numerals.number(shading.low), numerals.number(shading.high)
    peaks, means = drawn.max(axis=(0, 1)), drawn.mean(axis=(0, 1))
    sentences = [
        f"Channel {k}\nlargest {numerals.number(peaks[k])}, mean {numerals.number(means[k])}, "
        f"standard deviation {numerals.number(deviations[k])}"
        for k in order
    ]
    scene = scenes.grid(
        drawn[..., order],
        scene=path,
        title="Strongest first",
        limits=shading.limits,
        legend=scenes.Legend("activation", shading.colours, *shading.limits, ends),
        unit="activation",
        sentences=sentences,
        names=[f"{k}" for k in order],
    )
    zeros = int((deviations == 0).sum())
    said = f"{zeros:,} of them flat in this photo. " if zeros else ""
    return Channels(
        frame=frame,
        path=path,
        order=[int(k) for k in order],
        grid=scenes.pack(scene, path),
        style=modules.style(*viewer.STYLES),
        sentence=[(f"{said}Click a channel to see it large.", "")],
    )


def _channel(scene: Scene, asked: Asked, path: str) -> Content:
    number = asked.channel or 0
    maps = scene.activations(path)
    if maps.ndim != 3 or number >= maps.shape[-1]:
        raise LayerError(f"The layer {path!r} has no map of channel {number}.")
    height, width, _ = maps.shape
    shading = _shading(scene, path, maps)
    frame = _frame(
        scene,
        asked,
        label=f"{wording.name_of(path)} {number}",
        title=f"Channel {number}",
        subtitle=f"{wording.name_of(path)}, {height} × {width}.",
        here=strips.layer_tile(path, maps, number, shading),
    )
    maker = scene.outline.makers.get(path)
    weights = None if maker is None else scene.filters(maker)
    if weights is not None and number >= filter_of.count(weights):
        weights = None
    links = [("Its activations", Asked("activations", path, number))]
    if maker is not None:
        links.insert(0, ("Its filter", Asked("filters", maker, number)))
    drawn = arithmetic.layer_map(path, maps, number, None, shading)
    return filter_of.channel(frame, drawn, maps, number, weights, links, _rgb(scene.outline))


# --- What they have in common -----------------------------------------------------------------


def _frame(
    scene: Scene, asked: Asked, *, label: str, title: str, subtitle: str, here: StripTile | None
) -> Frame:
    order = [layer.path for layer in scene.outline.layers]
    return Frame(asked, label, title, subtitle, strips.strip(scene.staged(), here, order))


def _shading(scene: Scene, path: str, values: Floats) -> Shading:
    """The colours of a layer's values: on the wall and here, the same."""
    stages = scene.staged().stages
    on_wall = path in {stage.path for stage in stages}
    return content.colours_of(finite(values), content.common_limits(stages) if on_wall else None)


def _maps(scene: Scene) -> Callable[[str], Floats | None]:
    def maps(path: str) -> Floats | None:
        try:
            return scene.activations(path)
        except LayerError:
            # An operation that is no layer has values that only a trace reads.
            return None

    return maps


def _rgb(outline: Outline) -> tuple[str, ...]:
    """The names of the network's input channels, if they are the photo's colours."""
    if outline.input_shape[-1] != 3:
        return ()
    names = ("red", "green", "blue")
    return names[::-1] if outline.card.preprocessing.scaling == "caffe" else names


def _colours(outline: Outline, trace: ValueTrace) -> tuple[str, ...]:
    """Those names where the value is made of the photo's colours directly."""
    first = next((layer.path for layer in outline.layers if layer.kernel_shape), None)
    return _rgb(outline) if trace.source == first else ()
