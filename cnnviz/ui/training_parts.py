"""The Training page's parts: what to train, how far it is, and the network after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz import figures, trainer
from cnnviz.cards import card_path
from cnnviz.channels import rank_channels
from cnnviz.data import Prepared, read_prepared
from cnnviz.descriptions import describe
from cnnviz.errors import CnnvizError, DataError, TrainingError
from cnnviz.recipes import RECIPES
from cnnviz.results import Floats
from cnnviz.settings import ROOT, read_settings
from cnnviz.training_runs import Epoch, Run, best_of, open_run, read_history, run_folder
from cnnviz.ui import ask, choices, kernel_parts, own_models, parts, photos
from cnnviz.ui.photos import Photo
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

_DIGITS = ROOT / "cnnviz" / "samples" / "digits.npz"
_DIGITS_TITLE = "5,000 handwritten digits (MNIST)"
_OWN = "Your photos, as a zip with a folder for each class"
_SIDEBAR = "The photo in the sidebar"
# Seconds between two looks at a training that is going on.
_PAUSE = 1.5
_MOST_CHANNELS = 32


@dataclass(frozen=True)
class Watched:
    """A training to look at.

    Attributes:
        key: tells it from the others.
        title: what a person reads.
        folder: the training's own, with its history and checkpoints.
        place: of one that was started in the app, else None.
    """

    key: str
    title: str
    folder: Path
    place: trainer.Place | None = None

    def status(self) -> trainer.Status:
        """How far it is."""
        return trainer.status(self.place) if self.place else trainer.Status("finished")

    def run(self) -> Run | None:
        """Its checkpoints and its card, once there are any."""
        return self.place.run() if self.place else open_run(self.folder)

    def history(self) -> list[Epoch]:
        """The epochs that are finished and can be looked at."""
        done = read_history(self.folder)
        return [epoch for epoch in done if (self.folder / epoch.checkpoint).exists()]


def allowed() -> bool:
    """Whether people may train here: as the switch says, else where the server is local."""
    switched = read_settings().training
    return own_models.is_local() if switched is None else switched


def pick_training() -> Watched | None:
    """The choice among this server's trainings and those that lie beside the models."""
    found = {watched.key: watched for watched in (*_own(), *_replays())}
    if not found:
        return None
    key = choices.choose(
        st.selectbox,
        "Training",
        "training",
        list(found),
        next(iter(found)),
        format_func=lambda key: found[key].title,
    )
    return found[key]


def _own() -> list[Watched]:
    return [
        Watched(
            place.order.name,
            f"{RECIPES[place.order.architecture].title} on {place.order.source_name}",
            run_folder(place.model),
            place,
        )
        for place in trainer.places()
    ]


def _replays() -> list[Watched]:
    settings = read_settings()
    named = [settings.replay] if settings.replay else []
    beside = sorted(settings.models.glob("*_training")) if settings.models.is_dir() else []
    found = []
    for folder in (*named, *beside):
        try:
            title = open_run(folder).card.title
        except CnnvizError as error:
            if folder in named:
                st.error(plain(str(error)), icon=":material/error:")
            continue
        found.append(Watched(folder.name, f"{title} (replay)", folder))
    return found


def order(*, open_at_once: bool) -> None:
    """The form that starts a training."""
    with st.expander("Train a network", expanded=open_at_once, icon=":material/model_training:"):
        data, network, length = st.columns([3, 3, 2])
        with data:
            source = st.selectbox("Photos", [_DIGITS_TITLE, _OWN], key="training source")
        uploaded = None
        if source == _OWN:
            uploaded = st.file_uploader(
                "A zip file with a folder of photos for each class, such as cat and dog",
                type=["zip"],
                key="training zip",
                help=f"At most {trainer.MOST_PHOTOS:,} photos. They stay on this server until the "
                "training is over.",
            )
        with network:
            names = [name for name in RECIPES if source == _OWN or _takes_digits(name)]
            architecture = st.selectbox(
                "Network",
                names,
                format_func=lambda name: RECIPES[name].title,
                key=f"training network {source == _OWN}",
            )
        with length:
            epochs = st.number_input(
                "Epochs", 1, trainer.MOST_EPOCHS, 8, key="training epochs", help="Rounds."
            )
        st.caption(plain(RECIPES[architecture].about))
        waits = source == _OWN and uploaded is None
        busy = trainer.is_going()
        if busy:
            st.caption("A training is going on; this server does one at a time.")
        if st.button("Start", type="primary", icon=":material/play_arrow:", disabled=waits or busy):
            _start(source, uploaded, architecture, int(epochs))
        if "training problem" in st.session_state:
            st.error(plain(st.session_state.pop("training problem")), icon=":material/error:")


def _takes_digits(name: str) -> bool:
    recipe = RECIPES[name]
    return recipe.sides[0] <= 28 <= recipe.sides[1] and recipe.channels in {0, 1}


def _start(source: str, uploaded: object, architecture: str, epochs: int) -> None:
    own = source == _OWN
    what = Path(getattr(uploaded, "name", "")).stem if own else "digits"
    number = trainer.count() + 1
    name = f"{parts.file_stem(what).replace('.', '-')}_{architecture.replace('-', '_')}_{number}"
    title = parts.file_stem(what) if own else _DIGITS_TITLE
    try:
        trainer.start(
            trainer.Order(name, str(_DIGITS), title, architecture, epochs),
            uploaded.getbuffer() if own else None,  # type: ignore[attr-defined]
        )
    except TrainingError as error:
        st.session_state["training problem"] = str(error)
    else:
        choices.put("training", name)
    st.rerun()


def follow(watched: Watched, epochs: Sequence[Epoch], chosen: int | None) -> None:
    """How far the training is, looked at again and again while it is going on."""
    going = watched.status().going
    # The whole page runs again only when there is something new to look at.
    st.fragment(_progress, run_every=_PAUSE if going else None)(watched, len(epochs), chosen, going)


def _progress(watched: Watched, seen: int, chosen: int | None, was_going: bool) -> None:
    status = watched.status()
    if len(watched.history()) != seen or status.going != was_going:
        st.rerun()
    _tell(watched, status)
    history = watched.history()
    if not history:
        return
    epochs = max(status.epochs, history[-1].number)
    for place, title, training, validation in zip(
        st.columns(2, gap="large"),
        ("Loss", "Accuracy"),
        ("loss", "accuracy"),
        ("val_loss", "val_accuracy"),
        strict=True,
    ):
        with place:
            figure = figures.learning_curve(
                [getattr(epoch, training) for epoch in history],
                [getattr(epoch, validation) for epoch in history],
                numbers=[epoch.number for epoch in history],
                title=title,
                epochs=epochs,
                chosen=chosen or history[-1].number,
                share=title == "Accuracy",
            )
            parts.chart(figure, f"training {training}")


def _tell(watched: Watched, status: trainer.Status) -> None:
    if status.state == "preparing":
        share = status.done / status.total if status.total else 0.0
        text = f"Preparing the photos: {status.done:,} of {status.total:,}"
        st.progress(share, text=text if status.total else "Starting …")
    elif status.state == "training":
        if not status.epoch:
            st.progress(0.0, text="Building the network …")
        else:
            share = (status.epoch - 1 + status.done / max(status.total, 1)) / status.epochs
            left = f" · about {_time(status.seconds_left)} left" if status.seconds_left else ""
            st.progress(
                min(share, 1.0),
                text=f"Epoch {status.epoch} of {status.epochs} · loss {status.loss:.3f} · "
                f"accuracy {status.accuracy:.1%}{left}",
            )
    elif status.state == "failed":
        st.error(plain(status.message), icon=":material/error:")
    elif watched.place is not None:
        how = "is trained" if status.state == "finished" else "was stopped"
        if watched.place.model.exists():
            st.success(
                plain(f"The network {how}. It stands in the sidebar, under “Network”."),
                icon=":material/check:",
            )
        if status.message:
            st.info(plain(status.message))
    if status.going and st.button("Stop", icon=":material/stop:", key="stop training"):
        trainer.stop()
        st.toast("It stops after this step; the best epoch so far becomes the model.")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def downloads(watched: Watched) -> None:
    """The finished model and its card, to take away."""
    place = watched.place
    if place is None or watched.status().going or not place.model.exists():
        return
    model, card, _ = st.columns([1, 1, 2])
    with model:
        parts.download("Model", place.model.read_bytes, place.model.name, "trained model")
    with card:
        path = card_path(place.model)
        parts.download("Card", path.read_bytes, path.name, "trained card")


def pick_epoch(watched: Watched, epochs: Sequence[Epoch]) -> Epoch:
    """The choice of an epoch; who has not gone back stays at the newest one."""
    numbers = {epoch.number: epoch for epoch in epochs}
    newest, scope = epochs[-1].number, watched.key
    seen = st.session_state.get(f"newest epoch {scope}")
    st.session_state[f"newest epoch {scope}"] = newest
    if newest != seen and choices.kept("epoch", scope) == [str(seen)]:
        choices.forget("epoch", scope)
    if len(numbers) == 1:
        st.caption("The first epoch is done; with the next one you can go back and forth.")
        return epochs[0]
    best = best_of(epochs).number
    chosen: int = choices.choose(
        st.select_slider,
        "Epoch",
        "epoch",
        list(numbers),
        newest,
        scope=scope,
        format_func=lambda number: f"{number} (best)" if number == best else str(number),
    )
    return numbers[chosen]


def pick_photo(watched: Watched, own: Photo) -> Photo:
    """The choice of the photo that is looked at: one put aside for validation, or one's own."""
    prepared = _prepared(watched)
    labels = list(prepared.labels) if prepared else []
    chosen: str = choices.choose(
        st.selectbox,
        "Photo",
        "looked at",
        [*labels, _SIDEBAR],
        labels[0] if labels else _SIDEBAR,
        scope=watched.key,
        format_func=lambda name: name if name == _SIDEBAR else f"{name}, kept for validation",
    )
    if prepared is None or chosen == _SIDEBAR:
        return own
    return _data_photo(watched.key, chosen, prepared)


def _prepared(watched: Watched) -> Prepared | None:
    if watched.place is None:
        return None
    try:
        return _read_prepared(watched.place.data)
    except DataError:
        return None


@st.cache_resource(show_spinner=False, max_entries=4)
def _read_prepared(folder: Path) -> Prepared:
    return read_prepared(folder)


@st.cache_resource(show_spinner=False, max_entries=64)
def _data_photo(key: str, label: str, _prepared: Prepared) -> Photo:
    index = _prepared.labels.index(label)
    rows = _prepared.rows[label]
    row = next(place for place, row in enumerate(rows) if row.split == "validation")
    view = np.asarray(_prepared.arrays()[index][row])
    pixels = np.repeat(view, 3, axis=2) if view.shape[2] == 1 else view
    return photos.made(pixels, label, rows[row].file, f"{key} {rows[row].sha256}")


def pick_activations(watched: Watched, run: Run) -> str | None:
    """The choice of the layer whose activations are drawn."""
    offered = run.card.suggested_layers.activations
    if not offered:
        return None
    scope = f"training {watched.key}"
    return choices.choose(st.selectbox, "Layer", "layer", offered, offered[0], scope=scope)


def look(scene: Scene, layer: str | None) -> None:
    """A network on a photo: its answer, its map, its filters and its activations."""
    explanation = ask.explanation(scene.model, scene.photo)
    text = describe(explanation, scene.photo.pixels, scene.card.preprocessing)
    st.subheader(plain(text), anchor=False)
    evidence, kernels, maps = st.columns(3, gap="medium")
    with evidence:
        parts.overlay(scene, explanation.maps[0], key="training overlay")
    filters = scene.card.suggested_layers.filters
    if filters is not None:
        with kernels:
            found = ask.filters(scene.model, filters)
            figure = kernel_parts.grid(found, 0, "layer", "gray", named=False)
            parts.chart(figure, "training filters")
    if layer is not None:
        with maps:
            _activations(ask.activations(scene.model, scene.photo, layer), layer)


def _activations(maps: Floats, layer: str) -> None:
    """Channels in the order of their numbers: from epoch to epoch each stays in its place."""
    count = min(maps.shape[-1], _MOST_CHANNELS)
    peaks = rank_channels(maps).peak
    figure = figures.channel_grid(
        maps[..., :count],
        title=f"{count} of {maps.shape[-1]} activations of {layer}",
        unit="activation",
        names=[""] * count,
        hovers=[f"Channel {number}\npeak {peaks[number]:.3g}" for number in range(count)],
        colours="viridis",
    )
    parts.chart(figure, "training activations")
