"""The page Maximise: the search as it goes on, and what it has found."""

from __future__ import annotations

import functools
import html
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from cnnviz.features.found import only
from cnnviz.features.objectives import Maximised, Objective
from cnnviz.features.ways import before_activation
from cnnviz.figures.curves import ascent_curve
from cnnviz.figures.shading import data_uri
from cnnviz.numerals import number
from cnnviz.photos.encoding import encode_jpeg, encode_png
from cnnviz.serving import workers
from cnnviz.ui import parts
from cnnviz.ui.page_parts.exemplars import channels, classes
from cnnviz.ui.page_parts.maximise import game, picks, search, words
from cnnviz.ui.page_parts.maximise.picks import Choice, Game
from cnnviz.ui.page_parts.maximise.runs import Search
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# A picture with fewer pixels is enlarged with sharp edges.
_TINY = 64
_STYLE = """<style>
.drawn {display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 8px}
.drawn.one {grid-template-columns: minmax(0, 380px)}
.drawn figure {margin: 0} .drawn img {width: 100%; aspect-ratio: 1; border-radius: 4px}
.drawn.tiny img {image-rendering: pixelated}
.drawn figcaption {font-size: 14px; line-height: 1.3}
</style>"""


def draw(scene: Scene) -> None:
    """Draws the choices, and the search or what it has found; or a game."""
    choice = picks.pick(scene)
    if isinstance(choice, Game):
        game.draw(scene, choice)
        return
    workers.start_tensorflow(scene.model)
    (first, *others) = choice.objectives
    if others:
        _search(scene, choice)
        return
    # People learn more about a channel from natural photos, so these come first.
    beside, place = st.columns([2, 3], gap="large")
    with place:
        _search(scene, choice)
    with beside:
        if first.layer is None:
            classes.show_best(scene, scene.outline.card.labels[first.index])
        else:
            channels.show(scene, first.layer, first.index)


def _search(scene: Scene, choice: Choice) -> None:
    search.follow(
        scene,
        choice,
        functools.partial(_while_searching, choice),
        functools.partial(_otherwise, scene, choice),
    )


def _otherwise(scene: Scene, choice: Choice, result: Maximised | None) -> None:
    """What was found, and another search; or what the page is for."""
    with st.container(horizontal=True):
        if result is None:
            search.start_button("Start", scene, choice)
        else:
            st.button(
                "Another seed",
                icon=":material/casino:",
                on_click=search.start_anew,
                args=(choice.ways[0].seed,),
                help="Begins with other random numbers: compare both pictures.",
            )
    if result is None:
        _explain()
    else:
        _found(scene, choice, result)


def _explain() -> None:
    """What the page is for."""
    st.info(
        "Press Start: the picture appears as it comes, within seconds for a channel, in about half "
        "a minute for a class of a large network. It shows what excites the network, not what it "
        "has seen: in a controlled study (Borowski 2021) people learnt more about a channel from "
        "natural photos that excite it than from such pictures.",
        icon=":material/lightbulb:",
    )


def _while_searching(choice: Choice, search: Search) -> None:
    """The pictures so far, in the order of the choice."""
    names = _names(choice)
    drawn: dict[str, NDArray[np.uint8]] = {}
    for batch in search.finished:
        drawn |= {
            names[one]: picture
            for one, picture in zip(batch.objectives, batch.pictures, strict=True)
        }
    if search.state is not None:
        drawn |= {
            names[one]: picture
            for one, picture in zip(search.question.objectives, search.state.pictures, strict=True)
        }
    _pictures(list(drawn.values()), list(drawn), final=False)


def _found(scene: Scene, choice: Choice, result: Maximised) -> None:
    names = _names(choice)
    labels = scene.outline.card.labels
    if len(result.objectives) > 1:
        said = [_short(only(result, at), names[one]) for at, one in enumerate(result.objectives)]
        _pictures(list(result.pictures), said, final=True)
        st.caption(f"{words.way(result)} Each number is the mean of the channel over its picture.")
        _download(scene, choice, _mosaic(result.pictures))
        return
    shown, told = st.columns([2, 3], gap="large")
    one, name = result, choice.names[0]
    with shown:
        _pictures(list(one.pictures), [name], final=True)
        _download(scene, choice, one.pictures[0])
    with told:
        st.markdown(
            plain(
                words.verdict(
                    one,
                    name,
                    words.label_of(one.objectives[0], labels),
                    rectified=_is_rectified(scene, one),
                )
            )
        )
        st.caption(plain(words.way(one)))
        what = "score of the class" if one.objectives[0].layer is None else "mean of the channel"
        parts.chart(ascent_curve(one.values[0], what), "ascent")


def _is_rectified(scene: Scene, one: Maximised) -> bool:
    """Whether the channel is read before its activation function."""
    layer = one.objectives[0].layer
    calls = {call.path: call for call in scene.outline.calls}
    return layer is not None and before_activation(calls, layer) != layer


def _names(choice: Choice) -> dict[Objective, str]:
    return dict(zip(choice.objectives, choice.names, strict=True))


def _short(one: Maximised, name: str) -> str:
    """A caption in a grid."""
    channel = name.split(" of ")[0]
    if words.silent(one):
        return f"{channel}: silent"
    return f"{channel}: {number(float(one.values[0][-1]))}"


def _pictures(pictures: Sequence[NDArray[np.uint8]], names: Sequence[str], *, final: bool) -> None:
    kinds = "drawn"
    if len(pictures) == 1:
        kinds += " one"
    if pictures and len(pictures[0]) < _TINY:
        kinds += " tiny"
    figures = [
        f'<figure><img src="{_uri(picture, final=final)}" alt="{html.escape(name)}">'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for picture, name in zip(pictures, names, strict=True)
    ]
    st.html(f'{_STYLE}<div class="{kinds}">{"".join(figures)}</div>')


def _uri(picture: NDArray[np.uint8], *, final: bool) -> str:
    """A picture within the page; while it changes, a smaller file."""
    if final or picture.shape[2] == 1:
        return data_uri(encode_png(picture), "png")
    return data_uri(encode_jpeg(picture), "jpeg")


def _mosaic(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of one size in rows of eight, on black."""
    columns = min(8, len(pictures))
    missing = -len(pictures) % columns
    filled = [*pictures, *[np.zeros_like(pictures[0])] * missing]
    rows = [np.hstack(filled[at : at + columns]) for at in range(0, len(filled), columns)]
    return np.vstack(rows)


def _download(scene: Scene, choice: Choice, picture: NDArray[np.uint8]) -> None:
    name = choice.names[0] if len(choice.names) == 1 else f"{choice.names[0]} and more"
    stem = parts.file_stem(scene.model.name, *name.split(), f"seed{choice.ways[0].seed}")
    parts.download("PNG", lambda: encode_png(picture), f"{stem}.png", "picture")
