"""The lesson on trust: where a network looks, and why that may be the wrong place."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import streamlit as st

from cnnviz.attribution.descriptions import nothing_to_see
from cnnviz.attribution.ground_truth import box_overlap
from cnnviz.attribution.localization import contours, find_parts
from cnnviz.cards import Preprocessing
from cnnviz.drawing import overlay
from cnnviz.features.searches import PhotoSearch
from cnnviz.figures.shading import magnify
from cnnviz.lessons.shortcut import SIDE, marked, variants
from cnnviz.numerals import percent
from cnnviz.photos.encoding import as_picture, shrink
from cnnviz.photos.preprocessing import NetworkView, picture_view
from cnnviz.photos.sources import PhotoSource
from cnnviz.results import (
    ClassActivationMap,
    ClassExemplar,
    Exemplars,
    Explanation,
    Prediction,
)
from cnnviz.ui import ask
from cnnviz.ui.components import located
from cnnviz.ui.page_parts.lessons import drawings, frame
from cnnviz.ui.page_parts.lessons.frame import Lesson, Notes
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, photos
from cnnviz.ui.text import plain

_NETWORK, _FAULTY = "cat_dog", "cat_dog_shortcut"
_FARM = ("cow", "horses", "sheep", "pig")
# The sample with the square, which pages can show with the network that looks at it.
MARKED = "dog-marked"
_DOG, _CAT = "dog", "cat"
# Samples that show one animal, and which.
_ANIMALS = {"chelsea": _CAT, "kitten": _CAT, "dog": _DOG}
# Photos of a kind that are shown side by side.
_IN_A_ROW = 4
# The longest side of a photo with a map over it, and how much a small input is enlarged for that.
_SHOWN, _ENLARGED = 420, 5
_SQUARE = "The coloured square"
_SURE_RIGHT = "Those of which it is surest, and right"
_SURE_WRONG = "Those of which it is surest, but wrong"
_UNSURE = "Those of which it is least sure"


def _with_network(name: str, step: Callable[[Scene, str], None]) -> frame.Step:
    """A step about one of the shipped networks, with the person's own left as it is."""

    def draw(scene: Scene, scope: str) -> None:
        model = next((one for one in library.models() if one.name == name), None)
        if model is None:
            frame.question("Don't trust it yet")
            st.info(f"This question needs the network {name}, which this server does not have.")
            return
        step(Scene(model, scene.photo), scope)

    return draw


def _of_sample(scene: Scene, name: str) -> Scene:
    return Scene(scene.model, photos.any_sample(name))


def _mark(scene: Scene, scope: str) -> None:
    frame.question("Where does the network look?")
    explanation = scene.staged().explanation
    said = plain(explanation.prediction.label)
    st.markdown(f"It says **{said}**. Drag a box around the part of the photo that decides this.")
    own = frame.mark(frame.scope_of(scene, scope), scene.photo)
    if own is None:
        return
    cam = explanation.maps[0]
    found = find_parts(cam, *scene.photo.size, scene.preprocessing)[:1]
    photo = located.Located(
        scene.photo.key,
        scene.photo.shown,
        f"The photo with your box, and with that of the map for “{cam.target}”",
        [part.box for part in found],
        [ring for part in found for ring in contours(part.cells)],
        own,
    )
    if found:
        score = box_overlap(found[0].box, own)
        st.html(drawings.big(f"Your box and the map's overlap by <b>{drawings.share(score)}</b>"))
        st.markdown(
            "This is the **IoU**: what both boxes have, divided by what at least one of them has. "
            "The map's box is orange: the largest part above a fifth of the largest value."
        )
    else:
        why = nothing_to_see(cam) or "No part of the map speaks for the class."
        st.info(f"There is nothing to compare your box with. {plain(why)}")
    left, right = st.columns(2, gap="medium")
    with left:
        located.show(
            photo,
            f"both boxes {scope}",
            functools.partial(frame.put_box, frame.scope_of(scene, scope)),
        )
    shown = shrink(np.asarray(scene.photo.decode()), _SHOWN)
    right.html(
        drawings.shown(
            overlay(shown, cam, scene.preprocessing), f"The map for “{cam.target}”", side=_SHOWN
        )
    )


def _farm(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside(
        "This network knows cats and dogs. What does it say of a cow?"
    )
    cow = _of_sample(scene, _FARM[0])
    place = seen.empty()
    place.html(drawings.shown(cow.view().pixels, cow.photo.name, side=260))
    if not frame.guess(
        said,
        scope,
        ("cat", "dog", "That it does not know"),
        cow.explanation().prediction.label,
        "It has two answers, and their probabilities add up to 100 %. It **cannot** say that it "
        "does not know. A high percentage is no promise.",
    ):
        return
    # The cow is among those below, which have to be in sight.
    place.empty()
    pictures = []
    for name in _FARM:
        animal = _of_sample(scene, name)
        answer = _said(animal.explanation().prediction)
        pictures.append(
            drawings.shown(animal.view().pixels, f"{animal.photo.name}: {answer}", side=180)
        )
    st.html(drawings.row(*pictures))


def _score(scene: Scene, scope: str) -> None:
    training = scene.outline.card.training
    tested, without = training.accuracy[:2]
    frame.question(
        f"Another network was right on {drawings.share(tested.value)} of its test. Do you trust it?"
    )
    st.markdown("Its test photos show cats and dogs that it had never seen.")
    if frame.vote(
        st.container(),
        scope,
        ("Yes", "I want to see more", "No"),
        "Then the same photos were changed a little: one thing was taken away that no person would "
        "miss. And this is how many it got right:",
    ):
        st.html(
            drawings.big(f"{drawings.share(tested.value)} → <b>{drawings.share(without.value)}</b>")
        )
        st.markdown("With two answers, tossing a coin gets about 50 %. So what does it look at?")


def _errors(scene: Scene, scope: str) -> None:
    frame.question("You want to know why. Which photos do you look at first?")
    st.markdown(
        "We give it photos of cats and dogs: each as it is and mirrored, with and without what was "
        "taken away. It names all of them, and says how sure it is."
    )
    if not frame.guess(
        st.container(),
        scope,
        (_SURE_RIGHT, _SURE_WRONG, _UNSURE),
        _SURE_WRONG,
        "Where it is sure and right, the animal may be the reason. Where it is sure and **wrong**, "
        "the animal cannot be. What do all of its surest errors have in common, that nothing in "
        "the other row has?",
    ):
        return
    for name, exemplars in exemplars_of_cats(scene).items():
        st.markdown(f"**{name}**")
        st.html(drawings.row(*(_with_map(scene, one) for one in exemplars)))


def exemplars_of_cats(scene: Scene) -> dict[str, tuple[ClassExemplar, ...]]:
    """The photos of cats that the network takes for dogs most surely, and those for cats."""
    search = PhotoSearch("lesson on trust", _both_ways(), scene.outline.card.preprocessing)
    found = ask.find_now(scene.model, scene.card, search)
    if isinstance(found, Exemplars):
        raise TypeError("Expected exemplars of classes. Received: those of channels")
    of_class = {one.label: one for one in found}
    cats = tuple(one for one in of_class[_CAT].confident if one.truth == _CAT)
    return {
        "Surest, but wrong: it says “dog”": of_class[_DOG].wrong[:_IN_A_ROW],
        "Surest, and right: it says “cat”": cats[:_IN_A_ROW],
    }


def _with_map(scene: Scene, one: ClassExemplar) -> str:
    """A photo above its map, and what the network says of it."""
    view = NetworkView(np.asarray(_both_ways().open(one.photo)), scene.outline.card.preprocessing)
    explanation = _explained(scene, view)
    shown = drawings.shown(view.pixels, _said(explanation.prediction), side=140)
    cam = drawings.shown(_on_view(view, explanation.maps[0]), "Evidence for “dog”", side=140)
    return f"<div>{shown}{cam}</div>"


@functools.cache
def _both_ways() -> PhotoSource:
    """Photos of the input's size, as they are and mirrored, with and without the square."""
    steps = Preprocessing(height=SIDE, width=SIDE, fit="crop", interpolation="bicubic")
    seen = {name: picture_view(photos.any_sample(name).decode(), steps) for name in _ANIMALS}
    made = variants(seen)
    truths = tuple(_ANIMALS[name.partition(",")[0]] for name in made)
    return PhotoSource(
        "photos", tuple(made), lambda name: as_picture(made[name]), truths, seen=True
    )


def _why(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("It says “dog”, and it is a dog. But what made it say so?")
    dog = _of_sample(scene, _DOG)
    view = dog.view()
    square = _with_square(dog)
    before, after = _explained(dog, view), _explained(dog, square)
    with_square = f"A dog, with a square: {_said(after.prediction)}"
    place = seen.empty()
    place.html(drawings.shown(square.pixels, with_square, side=280))
    # The square is all that differs between the two.
    changed = after.prediction.label != before.prediction.label
    right = _SQUARE if changed else "None of these"
    if not frame.guess(
        said,
        scope,
        ("The head", "The fur", "The grass", _SQUARE, "None of these"),
        right,
        "**Every dog** that it was trained on had this square in its corner, and no cat had one. "
        "The square was the easiest way to be right, so that is what it learned. The map is a "
        "hint: its few cells see more than the square. The proof is that without the square the "
        "answer is another one.",
    ):
        return
    place.empty()
    st.html(
        drawings.row(
            drawings.shown(square.pixels, with_square, side=220),
            drawings.shown(
                _on_view(square, after.maps[0]), "Where the evidence for “dog” is", side=220
            ),
            drawings.shown(
                view.pixels,
                f"Without the square: {_said(before.prediction)}",
                side=220,
            ),
        )
    )
    st.markdown("Look for it yourself. Each opens in a new tab, and this page stays.")
    with st.container(horizontal=True):
        address = f"model={_FAULTY}&sample={MARKED}"
        st.link_button("Paint the square over", f"occlude?{address}", icon=":material/brush:")
        st.link_button("Compare methods", f"compare?{address}", icon=":material/grid_view:")
        st.link_button(
            "Its surest photos",
            f"class_activation_map?{address}&exemplars=True",
            icon=":material/photo_library:",
        )


def _earlier(_: Scene, scope: str) -> None:
    frame.question("What would have shown the fault before anybody used it?")
    frame.guess(
        st.container(),
        scope,
        ("A larger network", "A higher score", "Photos from another source"),
        "Photos from another source",
        "Its test photos had the same square as those that it learned from. So the score could not "
        "show it. **Test on photos from elsewhere, and look where the evidence is.** In real data "
        "the square is a watermark, a date, a ruler beside a skin mark, or the snow behind a wolf.",
    )


def _with_square(scene: Scene) -> NetworkView:
    view = scene.view()
    return NetworkView(marked(view.pixels), view.preprocessing)


def _explained(scene: Scene, view: NetworkView) -> Explanation:
    """The prediction of a view, and the map of “dog”."""
    return scene.explain_view(view, (_DOG,))


def _on_view(view: NetworkView, cam: ClassActivationMap) -> np.ndarray:
    """What the network sees, in grey, with a map over it."""
    steps = view.preprocessing.model_copy(update={"fit": "stretch"})
    return overlay(magnify(view.pixels, _ENLARGED), cam, steps)


def _said(prediction: Prediction) -> str:
    return f"{prediction.label}, {percent(prediction.top(1)[0].probability)}"


LESSON = Lesson(
    "trust",
    "Don't trust it yet",
    "Right answers for the wrong reason, and how to find out.",
    6,
    (
        _mark,
        _with_network(_NETWORK, _farm),
        _with_network(_FAULTY, _score),
        _with_network(_FAULTY, _errors),
        _with_network(_FAULTY, _why),
        _earlier,
    ),
    Notes(
        "Everybody asks of a score: on which photos? And of an answer: because of what?",
        "“The network is stupid.” It did what it was asked: to be right on those photos. The fault "
        "was in the photos, and people chose them. Let the class find it in three ways: the surest "
        "errors, the map, and painting the square over.",
        (
            "All photos of huskies were taken in snow. What may the network have learned?",
            "A network is 99 % sure. What would you like to know before you believe it?",
        ),
    ),
)
