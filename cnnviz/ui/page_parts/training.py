"""The Training page's parts: what to train, how far it is, and the network after each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from cnnviz.attribution.descriptions import describe
from cnnviz.cards import card_path
from cnnviz.errors import CnnvizError, DataError, TrainingError
from cnnviz.figures.curves import learning_curve
from cnnviz.figures.grids import channel_grid
from cnnviz.networks.channels import rank_channels
from cnnviz.photos.encoding import as_picture
from cnnviz.results import Floats
from cnnviz.serving import training_jobs
from cnnviz.settings import ROOT, read_settings
from cnnviz.training.data.manifest import Prepared, read_prepared
from cnnviz.training.recipes import RECIPES
from cnnviz.training.runs import Epoch, Run, best_of, open_run, read_history, run_folder
from cnnviz.ui import choices, parts
from cnnviz.ui.page_parts import filters as filter_parts
from cnnviz.ui.scene import Scene
from cnnviz.ui.sidebar import own_models, photos
from cnnviz.ui.sidebar.photos import LoadedPhoto
from cnnviz.ui.text import plain

_DIGITS = ROOT / "cnnviz" / "samples" / "digits.npz"
_DIGITS_TITLE = "5,000 handwritten digits (MNIST)"
_OWN = "Your photos, as a zip with a folder for each class"
_SIDEBAR = "The photo in the sidebar"
# Seconds between two looks at a training that is going on.
_PAUSE = 1.5
# And where none is, for one that somebody else may start.
_LONG_PAUSE = 5
_MOST_CHANNELS = 32
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Watched:
    """A training to look at.

    Attributes:
        key: tells it from the others.
        title: what a person reads.
        folder: the training's own, with its history and checkpoints.
        trusted: whether its checkpoints are, as in ``ModelFile``.
        place: of one that was started in the app, else None.
    """

    key: str
    title: str
    folder: Path
    trusted: bool
    place: training_jobs.Place | None = None

    def status(self) -> training_jobs.Status:
        """How far it is."""
        return training_jobs.status(self.place) if self.place else training_jobs.Status("finished")

    def run(self) -> Run | None:
        """Its checkpoints and its card, once there are any."""
        return self.place.run() if self.place else open_run(self.folder)

    def history(self) -> list[Epoch]:
        """The epochs that are finished."""
        return read_history(self.folder)

    def kept(self, history: Sequence[Epoch]) -> list[Epoch]:
        """Those of the epochs whose checkpoint is there to be looked at."""
        return [epoch for epoch in history if (self.folder / epoch.checkpoint).exists()]


def allowed() -> bool:
    """Whether people may train here: as the switch says, else where the server is local."""
    switched = read_settings().training
    return own_models.is_local() if switched is None else switched


def pick_training() -> Watched | None:
    """The choice among this server's trainings and those that lie beside the models."""
    found: dict[str, Watched] = {}
    for watched in (*_own(), *_named(), *_beside()):
        found.setdefault(watched.key, watched)
    if not found:
        return None
    _stay_at_the_newest("training", "", next(iter(found)))
    key = choices.choose(
        st.selectbox,
        "Training to watch",
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
            f"{int(place.folder.name)}: {RECIPES[place.order.architecture].title} on "
            f"{place.order.source_name}",
            run_folder(place.model),
            trusted=True,
            place=place,
        )
        for place in training_jobs.places()
    ]


def _named() -> list[Watched]:
    """The training that the server was started for; its files are trusted, as a model's are not."""
    folder = read_settings().replay
    if folder is None:
        return []
    try:
        return [_replay(folder, trusted=True)]
    except CnnvizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return []


def _beside() -> list[Watched]:
    """The trainings that lie beside the models, and are trusted as these are."""
    settings = read_settings()
    found = []
    for folder in sorted(settings.models.glob("*_training")):
        # A folder that holds no training is none of ours.
        with suppress(CnnvizError):
            found.append(_replay(folder, trusted=settings.trust))
    return found


def _replay(folder: Path, *, trusted: bool) -> Watched:
    return Watched(folder.name, f"{open_run(folder).card.title} (replay)", folder, trusted)


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
                help=f"At most {training_jobs.MOST_PHOTOS:,} photos. Everybody who uses this "
                "server can see the training and some of its photos, until the server stops or "
                "others have trained after you.",
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
                "Epochs",
                1,
                training_jobs.MOST_EPOCHS,
                8,
                key="training epochs",
                help="How often the network goes through all the photos.",
            )
        st.caption(plain(RECIPES[architecture].about))
        waits = source == _OWN and uploaded is None
        busy = training_jobs.is_going()
        if busy:
            st.caption(
                "A training is going on: this server does one at a time, and everybody watches "
                "the same one. Start is free again when it is over."
            )
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
    # A file's name has an end, in bytes.
    short = parts.file_stem(what)[:_LONGEST_NAME]
    number = training_jobs.count() + 1
    name = f"{short.replace('.', '-')}_{architecture.replace('-', '_')}_{number}"
    title = short if own else _DIGITS_TITLE
    try:
        training_jobs.start(
            training_jobs.Order(name, str(_DIGITS), title, architecture, epochs),
            uploaded.getbuffer() if own else None,  # type: ignore[attr-defined]
        )
    except TrainingError as error:
        st.session_state["training problem"] = str(error)
    else:
        choices.put("training", name)
    st.rerun()


def follow(watched: Watched | None) -> None:
    """How far the training is, looked at again and again."""
    pause = _PAUSE if watched is not None and watched.status().going else _LONG_PAUSE
    st.fragment(_progress, run_every=pause)(watched, _news(watched))


def _progress(watched: Watched | None, known: tuple[int, bool, int]) -> None:
    # The whole page runs again only when there is something new to look at.
    if _news(watched) != known:
        st.rerun()
    if watched is not None:
        _tell(watched, watched.status())


def _news(watched: Watched | None) -> tuple[int, bool, int]:
    """What changes when there is something new, here or because somebody else trains."""
    epochs = len(watched.history()) if watched else 0
    return training_jobs.count(), training_jobs.is_going(), epochs


def curves(watched: Watched, history: Sequence[Epoch], chosen: int | None) -> None:
    """Loss and accuracy, from epoch to epoch."""
    epochs = max(watched.status().epochs, history[-1].number)
    for place, title, training, validation in zip(
        st.columns(2, gap="large"),
        ("Loss", "Accuracy"),
        ("loss", "accuracy"),
        ("val_loss", "val_accuracy"),
        strict=True,
    ):
        with place:
            figure = learning_curve(
                [getattr(epoch, training) for epoch in history],
                [getattr(epoch, validation) for epoch in history],
                numbers=[epoch.number for epoch in history],
                title=title,
                epochs=epochs,
                chosen=chosen or history[-1].number,
                share=title == "Accuracy",
            )
            parts.chart(figure, f"training {training}")
    st.caption(
        "Training: measured while it learns, on photos that are changed at random each time. "
        "Validation: measured after the epoch, on photos that it never learns from."
    )


def _tell(watched: Watched, status: training_jobs.Status) -> None:
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
                plain(
                    f"The network {how}. It stands in the sidebar, under “Network”, as "
                    f"“{_shown_name(watched.place)}”: look at it on any page."
                ),
                icon=":material/check:",
            )
        if status.message:
            st.info(plain(status.message))
    if status.going and watched.place is not None:
        asked = watched.place.is_asked_to_end()
        st.button(
            "Stop for everybody",
            icon=":material/stop:",
            key="stop training",
            on_click=training_jobs.stop,
            disabled=asked,
            help="The best epoch so far becomes the model.",
        )
        if asked:
            st.caption("It is coming to its end; the best epoch so far becomes the model.")


def _shown_name(place: training_jobs.Place) -> str:
    """What the network is called in the sidebar."""
    run = place.run()
    return run.card.title if run else place.order.name


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def downloads(watched: Watched) -> None:
    """The finished model and its card, to take away."""
    place = watched.place
    if place is None or watched.status().going or not place.model.exists():
        return
    path = card_path(place.model)
    with st.container(horizontal=True):
        parts.download("Save the model", place.model.read_bytes, place.model.name, "trained model")
        parts.download("Save its card", path.read_bytes, path.name, "trained card")


def pick_epoch(watched: Watched, epochs: Sequence[Epoch]) -> Epoch:
    """The choice of an epoch; who has not gone back stays at the newest one."""
    numbers = {epoch.number: epoch for epoch in epochs}
    newest, scope = epochs[-1].number, watched.key
    _stay_at_the_newest("epoch", scope, str(newest))
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
        help="The pictures below show the network as it was after this epoch.",
    )
    return numbers[chosen]


def _stay_at_the_newest(name: str, scope: str, newest: str) -> None:
    """Takes the choice of what was the newest back, when something newer is there."""
    key = f"newest {name} {scope}"
    seen = st.session_state.get(key)
    st.session_state[key] = newest
    if seen not in {None, newest} and choices.kept(name, scope) == [seen]:
        choices.forget(name, scope)


def pick_photo(watched: Watched, own: LoadedPhoto) -> LoadedPhoto:
    """The choice of the photo that is looked at: one put aside for validation, or one's own."""
    prepared = _prepared(watched)
    labels = list(_for_validation(prepared)) if prepared else []
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


def _for_validation(prepared: Prepared) -> dict[str, int]:
    """For each class its first row that is for validation; a class may have none."""
    found = {
        label: [place for place, row in enumerate(rows) if row.split == "validation"]
        for label, rows in prepared.rows.items()
    }
    return {label: places[0] for label, places in found.items() if places}


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
def _data_photo(key: str, label: str, _prepared: Prepared) -> LoadedPhoto:
    index = _prepared.labels.index(label)
    row = _for_validation(_prepared)[label]
    view = np.asarray(_prepared.arrays()[index][row])
    pixels = np.repeat(view, 3, axis=2) if view.shape[2] == 1 else view
    known = _prepared.rows[label][row]
    return photos.loaded_photo(as_picture(pixels), label, known.file, f"{key} {known.sha256}")


def pick_activations(watched: Watched, run: Run) -> str | None:
    """The choice of the layer whose activations are drawn."""
    offered = run.card.suggested_layers.activations
    if not offered:
        return None
    scope = f"training {watched.key}"
    return choices.choose(st.selectbox, "Layer", "layer", offered, offered[0], scope=scope)


def look(scene: Scene, layer: str | None) -> None:
    """A network on a photo: its answer, its map, its filters and its activations."""
    explanation = scene.explanation()
    text = describe(explanation, scene.photo.size, scene.card.preprocessing)
    st.subheader(plain(text), anchor=False)
    evidence, kernels, maps = st.columns(3, gap="medium")
    with evidence:
        parts.overlay(scene, explanation.maps[0], key="training overlay")
    filters = scene.card.suggested_layers.filters
    if filters is not None:
        with kernels:
            found = scene.filters(filters)
            figure = filter_parts.grid(found, 0, "layer", "gray", named=False)
            parts.chart(figure, "training filters")
    if layer is not None:
        with maps:
            _activations(scene.activations(layer), layer)


def _activations(maps: Floats, layer: str) -> None:
    """Channels in the order of their numbers: from epoch to epoch each stays in its place."""
    count = min(maps.shape[-1], _MOST_CHANNELS)
    peaks = rank_channels(maps).peak
    figure = channel_grid(
        maps[..., :count],
        title=f"{count} of {maps.shape[-1]} activations of {layer}",
        unit="activation",
        names=[""] * count,
        hovers=[f"Channel {number}\npeak {peaks[number]:.3g}" for number in range(count)],
        colours="viridis",
    )
    parts.chart(figure, "training activations")
