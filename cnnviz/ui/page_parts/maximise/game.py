"""The game: a channel is shown, and a person finds the one of nine photos that excites it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.features.guessing import CHOICES, Round, rounds
from cnnviz.features.objectives import Maximised, Objective
from cnnviz.figures.shading import data_uri
from cnnviz.numerals import number
from cnnviz.photos.encoding import FEW_PIXELS, encode_png
from cnnviz.results import Exemplars, Gallery
from cnnviz.serving import workers
from cnnviz.ui.components import picture_tiles
from cnnviz.ui.components.picture_tiles import Group, PictureTiles, Tile
from cnnviz.ui.page_parts.exemplars import channels, photos
from cnnviz.ui.page_parts.maximise import picks, runs, search
from cnnviz.ui.page_parts.maximise.picks import Game
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

ROUNDS = 5
# The name of the game in the session: the score is nowhere else.
_PLAY = "game of photos"


@dataclass
class _Play:
    """How far a game is.

    Attributes:
        key: what it is about; another one is another game.
        answers: the places that were picked, round by round.
        shown: whether the solution of the last of these is on the screen.
    """

    key: tuple[object, ...]
    answers: list[int] = field(default_factory=list)
    shown: bool = False


def draw(scene: Scene, chosen: Game) -> None:
    """Draws the game, or what it waits for."""
    try:
        found = _photos(scene, chosen)
    except CnnvizError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    if found is None:
        return
    gallery, made = found
    if not made:
        st.info(
            plain(
                f"In {gallery.source} no photo excites a channel of {chosen.layer} clearly more "
                "than eight others do. Choose another layer, or other photos."
            ),
            icon=":material/info:",
        )
        return
    pictures = None
    if chosen.hint == "picture":
        pictures = _pictures(scene, chosen, made)
        if pictures is None:
            return
    key = scene.model, chosen.layer, chosen.hint, chosen.seed, gallery.source
    play: _Play = st.session_state.setdefault(_PLAY, _Play(key))
    if play.key != key:
        play = st.session_state[_PLAY] = _Play(key)
    if len(play.answers) == len(made) and not play.shown:
        _end(chosen, made, play)
        return
    at = len(play.answers) - play.shown
    _round(gallery, made, at, play, pictures)


def _photos(scene: Scene, chosen: Game) -> tuple[Gallery, tuple[Round, ...]] | None:
    """The photos with their activations, and the rounds; None while they are searched.

    Raises:
        CnnvizError: whatever the network's process raises, or a photo cannot be read.
    """
    kept = channels.kept(scene, chosen.layer)
    offered = photos.searchable(scene)
    with chosen.place:
        source = photos.pick(
            list(kept), offered, channels.scope_of(scene, chosen.layer), in_row=True
        )
    if source is None:
        return None
    if source in kept:
        return kept[source], rounds(kept[source].found, ROUNDS, chosen.seed)
    found = channels.exemplars_of_block(scene, chosen.layer, 0, offered[source])
    if found is None:
        return None
    made = rounds(found, ROUNDS, chosen.seed)
    asked = {one.channel for one in made}
    of_rounds = tuple(one for one in found.channels if one.channel in asked)
    only = Exemplars(found.layer, found.photos, of_rounds)
    return channels.pictured(scene, only, offered[source]), made


def _pictures(scene: Scene, chosen: Game, made: tuple[Round, ...]) -> Maximised | None:
    """The pictures that were made for the channels of all rounds; None while they are not."""
    choice = chosen.pictures([one.channel for one in made])
    result = runs.result(scene, choice)
    if result is None:
        workers.start_tensorflow(scene.model)
        search.follow(
            scene,
            choice,
            lambda _: None,
            lambda _: search.start_button(f"Make the {len(made)} pictures", scene, choice),
        )
    return result


def _round(
    gallery: Gallery, made: tuple[Round, ...], at: int, play: _Play, pictures: Maximised | None
) -> None:
    one = made[at]
    place, tiles = st.columns([2, 3], gap="large")
    with place:
        st.subheader("Which of these nine photos excites it?", anchor=False)
        st.markdown(f"Round {at + 1} of {len(made)} · **{_score(made, play)}** right so far")
        if play.shown:
            _solution(made, at, play)
        _hint(gallery, one, pictures)
        st.caption(
            plain(
                f"Channel {one.channel} of {gallery.found.layer}. One of the nine excites it "
                "clearly more than all others do: what counts is the measured activation at the "
                f"strongest cell. A guess at random is right once in {CHOICES} rounds. Pick with "
                "a click, or with the keys 1 to 9 once one is selected."
            )
        )
    with tiles:
        drawn = PictureTiles(
            f"{play.key[1:]} {at} {play.shown}",
            [Group("", tuple(_tile(gallery, one, rank, play) for rank in range(CHOICES)))],
            columns=3,
            opens=not play.shown,
            enlarged=True,
        )
        picture_tiles.show(drawn, "nine photos", lambda index: _answer(play, index))


def _hint(gallery: Gallery, one: Round, pictures: Maximised | None) -> None:
    """What shows the channel."""
    if pictures is not None:
        st.markdown("This picture was made to excite it:")
        shown = pictures.objectives.index(Objective(gallery.found.layer, one.channel))
        st.image(data_uri(encode_png(pictures.pictures[shown]), "png"), width=260)
        return
    st.markdown("These parts of other photos excite it:")
    channel = gallery.channel(one.channel)
    if channel is not None:
        hints = channels.listed(gallery, channel, one.hints)
        st.html(f"<style>{channels.STYLE}</style>{hints}")


def _tile(gallery: Gallery, one: Round, rank: int, play: _Play) -> Tile:
    exemplar = one.choices[rank]
    photo = gallery.photos[exemplar.photo]
    small = max(photo.size) <= FEW_PIXELS
    source = (data_uri(photo.picture, "webp"),)
    if not play.shown:
        return Tile(source, str(rank + 1), "", f"Photo {rank + 1}", pixels=small)
    mark: Literal["", "right", "wrong"] = ""
    note = ""
    if rank == one.right:
        mark, note = "right", "excites it most"
    elif rank == play.answers[-1]:
        mark, note = "wrong", "your guess"
    return Tile(source, number(exemplar.value), note, exemplar.photo, mark, small)


def _solution(made: tuple[Round, ...], at: int, play: _Play) -> None:
    """Whether the guess was right, by how much, and the way on."""
    one = made[at]
    values = sorted((choice.value for choice in one.choices), reverse=True)
    says = (
        f"It excites the channel with {number(values[0])}, the next one with {number(values[1])}."
    )
    if play.answers[at] == one.right:
        st.success(f"That is right. {plain(says)}", icon=":material/check:")
    else:
        place = f"It is photo {one.right + 1}."
        st.info(f"{place} {plain(says)}", icon=":material/lightbulb:")
    last = at + 1 == len(made)
    st.button(
        "Your score" if last else "Next round",
        icon=":material/arrow_forward:",
        type="primary",
        shortcut="N",
        on_click=_go_on,
        args=(play,),
    )


def _end(chosen: Game, made: tuple[Round, ...], play: _Play) -> None:
    st.subheader(f"{_score(made, play)} of {len(made)}", anchor=False)
    by_chance = len(made) / CHOICES
    st.markdown(
        f"Guesses at random are right in {by_chance:.1f} of {len(made)} rounds on average. In a "
        "study in which one of two photos was right, people found it with natural photos as hints "
        "in 92 %, and with made pictures in 82 % of the rounds (Borowski 2021): compare both "
        "hints. Who opens the link of this page plays the same rounds."
    )
    with st.container(horizontal=True):
        st.button("Play them again", icon=":material/replay:", on_click=_forget)
        st.button(
            "Other rounds",
            icon=":material/casino:",
            type="primary",
            on_click=picks.put_seed,
            args=(chosen.seed + 1,),
        )


def _score(made: tuple[Round, ...], play: _Play) -> int:
    return sum(answer == one.right for answer, one in zip(play.answers, made, strict=False))


def _answer(play: _Play, index: int) -> None:
    play.answers.append(index)
    play.shown = True


def _go_on(play: _Play) -> None:
    play.shown = False


def _forget() -> None:
    st.session_state.pop(_PLAY, None)
