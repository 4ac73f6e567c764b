"""The progress of a training: its status, learning curves, and the finished model."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from cnnviz.figures.curves import learning_curve
from cnnviz.serving import training_jobs
from cnnviz.serving.training_jobs import TrainingJob
from cnnviz.storage import card_path
from cnnviz.training.runs import Epoch, TrainingStatus
from cnnviz.ui import parts
from cnnviz.ui.page_parts.training import live
from cnnviz.ui.page_parts.training.views import TrainingView
from cnnviz.ui.text import plain

# Seconds between two updates of a training in progress.
_PAUSE = 1.5
# And otherwise, for a training that another person may start.
_LONG_PAUSE = 5


def follow(view: TrainingView | None) -> None:
    """Draws the status of a training again and again."""
    pause = _PAUSE if view is not None and view.status().is_active else _LONG_PAUSE
    st.fragment(_update, run_every=pause)(view, _version(view))


def _update(view: TrainingView | None, drawn: tuple[int, bool, int]) -> None:
    # The whole page runs again only when something else on it has changed.
    if _version(view) != drawn:
        st.rerun()
    if view is not None:
        _draw_status(view, view.status())


def _version(view: TrainingView | None) -> tuple[int, bool, int]:
    """Changes with everything the page shows, including trainings of other people."""
    epochs = len(view.history()) if view else 0
    return training_jobs.count(), training_jobs.is_active(), epochs


def _draw_status(view: TrainingView, status: TrainingStatus) -> None:
    if status.state == "preparing":
        _draw_preparation(status)
    elif status.state == "training":
        _draw_training(view, status)
    elif status.state == "failed":
        st.error(plain(status.message), icon=":material/error:")
    elif view.job is not None:
        _draw_result(view.job, status)
    if status.is_active and view.job is not None:
        _draw_stop_button(view.job)


def _draw_preparation(status: TrainingStatus) -> None:
    if not status.photos:
        st.progress(0.0, text="Starting …")
        return
    text = f"Preparing the photos: {status.photos_done:,} of {status.photos:,}"
    st.progress(status.photos_done / status.photos, text=text)


def _draw_training(view: TrainingView, status: TrainingStatus) -> None:
    if not status.epoch and status.photos:
        text = (
            f"Running the convolutions on each photo: {status.photos_done:,} of {status.photos:,}"
        )
        st.progress(status.photos_done / status.photos, text=text)
        return
    if not status.epoch:
        st.progress(0.0, text="Building the network, and testing it untrained …")
        return
    share = (status.epoch - 1 + status.step / max(status.steps, 1)) / status.epochs
    left = f" · about {_time(status.seconds_left)} left" if status.seconds_left else ""
    st.progress(
        min(share, 1.0),
        text=f"Epoch {status.epoch} of {status.epochs} · its training photos so far: loss "
        f"{status.loss:.3f}, accuracy {status.accuracy:.1%}{left}",
    )
    batches = view.job.live_batches() if view.job else None
    if batches is not None:
        live.draw(batches)


def _draw_result(job: TrainingJob, status: TrainingStatus) -> None:
    how = "is trained" if status.state == "finished" else "was stopped"
    if job.model.exists():
        run = job.run()
        title = run.card.title if run else job.request.name
        st.success(
            plain(
                f"The network {how}. It is in the sidebar, under “Network”, as “{title}”: look at "
                "it on any page."
            ),
            icon=":material/check:",
        )
    if status.message:
        st.info(plain(status.message))


def _draw_stop_button(job: TrainingJob) -> None:
    requested = job.is_stop_requested()
    st.button(
        "Stop for everybody",
        icon=":material/stop:",
        key="stop training",
        on_click=training_jobs.stop,
        disabled=requested,
        help="The best epoch so far becomes the model.",
    )
    if requested:
        st.caption("It is stopping; the best epoch so far becomes the model.")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def curves(view: TrainingView, history: Sequence[Epoch], chosen: int | None) -> None:
    """Draws loss and accuracy of all epochs, with a mark at the chosen one."""
    epochs = max(view.status().epochs, history[-1].number)
    for column, title, training, validation in zip(
        st.columns(2, gap="large"),
        ("Loss", "Accuracy"),
        ("loss", "accuracy"),
        ("val_loss", "val_accuracy"),
        strict=True,
    ):
        with column:
            figure = learning_curve(
                [getattr(epoch, training) for epoch in history],
                [getattr(epoch, validation) for epoch in history],
                numbers=[epoch.number for epoch in history],
                title=title,
                epochs=epochs,
                chosen=history[-1].number if chosen is None else chosen,
                share=title == "Accuracy",
            )
            parts.chart(figure, f"training {training}")
    st.caption(
        "Training: measured while it learns, on photos that are changed at random each time, "
        "unless the last layer alone learns. Validation: measured after the epoch, on photos that "
        "it never learns from; of epoch 0, before it has learned anything."
    )


def downloads(view: TrainingView) -> None:
    """Buttons that save the finished model and its card."""
    job = view.job
    if job is None or view.status().is_active or not job.model.exists():
        return
    path = card_path(job.model)
    with st.container(horizontal=True):
        parts.download("Save the model", job.model.read_bytes, job.model.name, "trained model")
        parts.download("Save its description", path.read_bytes, path.name, "trained card")
