"""What is compared beside classes and methods: two photos, two networks, or two epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from cnnviz.attribution import compared
from cnnviz.errors import TargetError
from cnnviz.serving.model_files import ModelFile
from cnnviz.training.runs import Epoch, TrainingRun, best_of
from cnnviz.ui import choices, shell
from cnnviz.ui.page_parts.training import network as training_network
from cnnviz.ui.page_parts.training import views
from cnnviz.ui.page_parts.training.views import TrainingView
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import library, network_choice, photos
from cnnviz.ui.text import plain

_WHAT = {
    "classes": "Classes",
    "photos": "Two photos",
    "networks": "Two networks",
    "epochs": "Two epochs",
}
_LIST_WIDTH = 260
# The pages of a map by their files' names.
CLASS_MAP, _TRAINING = "class_activation_map", "training"


@dataclass(frozen=True)
class Subject:
    """A network and a photo of the comparison.

    Attributes:
        scene: model and photo.
        network: the network's name on the page.
        choose: makes both those of the other pages, for a click on one of its maps.
        page: the page that a click on one of its maps leads to.
    """

    scene: Scene
    network: str
    choose: Callable[[], None]
    page: str = CLASS_MAP


def pick(scene: Scene) -> list[Subject]:
    """The choice of what is compared: the page's network and photo, and another one of either.

    Args:
        scene: the page's model and photo.
    """
    trainings = views.available()
    offered = [what for what in _WHAT if what != "epochs" or trainings]
    what = choices.choose(
        _pills,
        "What to compare",
        "compare",
        offered,
        "classes",
        format_func=_WHAT.__getitem__,
    )
    first = Subject(scene, scene.outline.card.title, lambda: None)
    if what == "photos":
        return [first, _other_photo(scene, first)]
    if what == "networks":
        other = _other_network(scene, first)
        return [first] if other is None else [first, other]
    if what == "epochs":
        return _two_epochs(scene, first, trainings)
    return [first]


def shared_classes(subjects: Sequence[Subject]) -> list[str]:
    """The classes that all networks have.

    Raises:
        TargetError: there is none.
    """
    return compared.shared([(one.network, one.scene.outline.card.labels) for one in subjects])


def _pills(label: str, options: list[str], *, key: str, **rest: Any) -> str:
    picked: str = st.pills(
        label, options, key=key, required=True, label_visibility="collapsed", **rest
    )
    return picked


def _list(
    label: str, name: str, titles: Mapping[str, str], default: str, scope: str, unknown: str = ""
) -> str:
    return choices.choose(
        st.selectbox,
        label,
        name,
        list(titles),
        default,
        scope=scope,
        if_unknown=unknown,
        format_func=titles.__getitem__,
        label_visibility="collapsed",
        width=_LIST_WIDTH,
    )


def _other_photo(scene: Scene, first: Subject) -> Subject:
    """Another sample beside the page's photo."""
    shown = photos.shown_sample(scene.model)
    titles = {one.name: one.title for one in library.samples(scene.model) if one.name != shown}
    name = _list("Other photo", "other photo", titles, next(iter(titles)), ",".join(titles))
    return Subject(
        replace(scene, photo=photos.sample_photo(scene.model, name)),
        first.network,
        lambda: photos.choose_sample(scene.model, name),
    )


def _other_network(scene: Scene, first: Subject) -> Subject | None:
    """Another network beside the page's; None where there is none that can be run."""
    by_name = {name: model for name, model in shell.networks().items() if model != scene.model}
    if not by_name:
        st.info("There is no other network here. Open one of yours in the sidebar.")
        return None
    titles = library.titles(by_name)
    default = _first_alike(scene, by_name)
    name = _list("Other network", "other network", titles, default, scene.model.name)
    other = Scene(by_name[name], scene.photo)
    if other.needs_preset:
        st.info(
            plain(
                f"“{titles[name]}” does not show which values of the pixels it takes. Choose it in "
                "the sidebar and name them there; then compare it with another network."
            )
        )
        return None
    found = Subject(other, titles[name], lambda: network_choice.put(name))
    try:
        shared_classes([first, found])
    except TargetError as error:
        st.info(plain(str(error)))
        return None
    return found


def _first_alike(scene: Scene, by_name: Mapping[str, ModelFile]) -> str:
    """The first network whose card shares a class with the page's network, else the first one."""
    own = set(scene.outline.card.labels)
    for name, model in by_name.items():
        card = library.card(model)
        if card is not None and own & set(card.labels):
            return name
    return next(iter(by_name))


def _two_epochs(
    scene: Scene, first: Subject, trainings: Mapping[str, TrainingView]
) -> list[Subject]:
    """The network of a training after two of its epochs, for the page's photo."""
    titles = {key: view.title for key, view in trainings.items()}
    key = next(iter(titles))
    if len(titles) > 1:
        key = _list("Training", "training", titles, key, "")
    view = trainings[key]
    run, epochs = view.run(), view.with_checkpoint(view.history())
    if run is None or len(epochs) < 2:
        st.info("This training has not finished two epochs yet.")
        return [first]
    numbers = {str(epoch.number): epoch for epoch in epochs}
    best = best_of(epochs)
    names = {
        text: f"Epoch {training_network.name_of(epoch, best)}" for text, epoch in numbers.items()
    }
    chosen = (
        _list("First epoch", "first epoch", names, next(iter(names)), key),
        _list("Second epoch", "second epoch", names, next(reversed(names)), key),
    )
    return [_after(numbers[one], view, run, scene) for one in chosen]


def _after(epoch: Epoch, view: TrainingView, run: TrainingRun, scene: Scene) -> Subject:
    def choose() -> None:
        views.put(view.key)
        training_network.put_epoch(view, epoch)

    after = training_network.after(epoch, view, run, scene.photo)
    return Subject(after, f"Epoch {epoch.number}", choose, _TRAINING)
