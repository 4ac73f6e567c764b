"""The trainings that can be watched: those of this server, and those on its disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from cnnviz.errors import CnnvizError
from cnnviz.serving import training_jobs
from cnnviz.serving.training_jobs import TrainingJob
from cnnviz.settings import read_settings
from cnnviz.training.recipes import RECIPES
from cnnviz.training.runs import (
    Epoch,
    TrainingRun,
    TrainingStatus,
    open_run,
    read_history,
    run_folder,
)
from cnnviz.ui import choices
from cnnviz.ui.text import plain

# The name of the choice in the address.
_CHOICE = "training"


@dataclass(frozen=True)
class TrainingView:
    """A training that can be watched.

    Attributes:
        key: identifies it among the others.
        title: its name on the page.
        folder: of its history and checkpoints.
        trusted: whether its checkpoints are, as in ``ModelFile``.
        job: of a training that was started in the app, else None.
    """

    key: str
    title: str
    folder: Path
    trusted: bool
    job: TrainingJob | None = None

    def status(self) -> TrainingStatus:
        """Its status; a training on disk is finished."""
        return training_jobs.status(self.job) if self.job else TrainingStatus("finished")

    def run(self) -> TrainingRun | None:
        """Its folder; None before the first step."""
        return self.job.run() if self.job else open_run(self.folder)

    def history(self) -> list[Epoch]:
        """The untrained network and the finished epochs."""
        return read_history(self.folder)

    def with_checkpoint(self, history: Sequence[Epoch]) -> list[Epoch]:
        """The epochs whose checkpoints exist."""
        return [epoch for epoch in history if (self.folder / epoch.checkpoint).exists()]


def pick() -> TrainingView | None:
    """The choice among the trainings of this server and those beside the models."""
    views: dict[str, TrainingView] = {}
    for view in (*_of_this_server(), *named_in_settings(), *beside_models()):
        views.setdefault(view.key, view)
    if not views:
        return None
    newest = next(iter(views))
    stay_at_newest(_CHOICE, "", newest)
    key = choices.choose(
        st.selectbox,
        "Training to watch",
        _CHOICE,
        list(views),
        newest,
        format_func=lambda key: views[key].title,
    )
    return views[key]


def available() -> dict[str, TrainingView]:
    """The trainings with two epochs or more whose networks can be looked at, by their keys."""
    views: dict[str, TrainingView] = {}
    for view in (*_of_this_server(), *named_in_settings(), *beside_models()):
        if len(view.with_checkpoint(view.history())) > 1:
            views.setdefault(view.key, view)
    return views


def put(key: str) -> None:
    """Chooses a training for the person, before the choice is drawn."""
    choices.put(_CHOICE, key)


def _of_this_server() -> list[TrainingView]:
    return [
        TrainingView(
            job.request.name,
            f"{int(job.folder.name)}: {RECIPES[job.request.architecture].title} on "
            f"{job.request.source_name}",
            run_folder(job.model),
            trusted=True,
            job=job,
        )
        for job in training_jobs.jobs()
    ]


def named_in_settings() -> list[TrainingView]:
    """The training that the server was started for; its files are always trusted."""
    folder = read_settings().replay
    if folder is None:
        return []
    try:
        return [_replay(folder, trusted=True)]
    except CnnvizError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return []


def beside_models() -> list[TrainingView]:
    """The trainings in the folder of models, which are trusted if the models are."""
    settings = read_settings()
    views = []
    for folder in sorted(settings.models.glob("*_training")):
        # A folder without a training only has such a name.
        with suppress(CnnvizError):
            views.append(_replay(folder, trusted=settings.trust))
    return views


def _replay(folder: Path, *, trusted: bool) -> TrainingView:
    return TrainingView(folder.name, f"{open_run(folder).card.title} (replay)", folder, trusted)


def stay_at_newest(name: str, scope: str, newest: str) -> None:
    """Withdraws the choice of the former newest option when a newer one exists."""
    key = f"newest {name} {scope}"
    former = st.session_state.get(key)
    st.session_state[key] = newest
    if former not in {None, newest} and choices.kept(name, scope) == [former]:
        choices.forget(name, scope)
