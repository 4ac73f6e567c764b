"""The Training page: the form, a training job, and the replay of a training on disk."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from corpus import builders
from helpers import chelsea

import cnnviz
from cnnviz.cards import Confusion, SuggestedLayers, Training
from cnnviz.serving import training_jobs, worker_pools
from cnnviz.serving.training_jobs import TrainingJob, TrainingRequest
from cnnviz.training.runs import (
    BatchFigures,
    Epoch,
    TrainingRun,
    TrainingStatus,
    run_folder,
    write_history,
)

LEAD = "How does a network learn?"


@pytest.fixture(scope="module", autouse=True)
def no_training() -> Iterator[None]:
    """Starts this file without any job; the processes of checkpoints serve this file alone."""
    training_jobs.reset()
    yield
    training_jobs.reset()
    for pool in worker_pools.running():
        if pool.untrusted or pool.name == worker_pools.CHECKPOINTS:
            worker_pools.discard(pool)


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    """People may train here, as on a server that listens on localhost."""
    monkeypatch.setenv("CNNVIZ_TRAINING", "on")


def epoch(number: int, val_accuracy: float) -> Epoch:
    return Epoch(number, 2.0 / number, val_accuracy / 2, 2.5 / number, val_accuracy, 1e-3, 1.5)


EPOCHS = [epoch(1, 0.25), epoch(2, 0.75), epoch(3, 0.5)]


@pytest.fixture(scope="module")
def checkpoint(
    save: Callable[[Any, Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Path]:
    """The file of an epoch's network, each of which differs from the others; saved once."""
    folder = tmp_path_factory.mktemp("checkpoints")

    @functools.cache
    def find(number: int) -> Path:
        model = builders.fresh("flat").model
        for weight in model.weights:
            weight.assign(weight * number)
        # Another class each time: the scores differ by more than any photo does.
        if number:
            model.layers[-1].bias.assign(np.eye(3, dtype=np.float32)[number - 1] * 1e4)
        save(model, folder / f"{number}.keras")
        return folder / f"{number}.keras"

    return find


@pytest.fixture
def fill_training(
    tiny: Callable[[str], Any], checkpoint: Callable[[int], Path]
) -> Callable[..., Path]:
    """Fills a folder like a training."""

    def fill(folder: Path, epochs: list[Epoch], without: tuple[int, ...] = ()) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        layers = SuggestedLayers(filters="conv1", activations=["conv1", "conv2"])
        card = tiny("flat").card
        TrainingRun(folder, card.model_copy(update={"suggested_layers": layers})).write_card()
        for one in epochs:
            if one.number not in without:
                shutil.copy2(checkpoint(one.number), folder / one.checkpoint)
        write_history(folder, epochs)
        return folder

    return fill


@pytest.fixture
def replay(
    fill_training: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a training in three epochs, which the server was started for."""
    folder = fill_training(tmp_path / "pets_training", EPOCHS)
    monkeypatch.setenv("CNNVIZ_REPLAY", str(folder))
    return folder


def slider(seen: Any) -> Any:
    (epoch_slider,) = [one for one in seen.app.get("select_slider") if one.label == "Epoch"]
    return epoch_slider


def labels(seen: Any, kind: str) -> list[str]:
    return [one.label for one in seen.app.get(kind)]


def quiet(seen: Any) -> Any:
    """Asserts that the page has no error."""
    assert [one.message for one in seen.app.exception] == []
    assert [one.value for one in seen.app.error] == []
    return seen


# --- Without a training -------------------------------------------------------------------------


def test_where_training_is_allowed_the_form_is_there(visit: Any, models: Any) -> None:
    models("flat")
    seen = quiet(visit("training"))
    assert [one.value for one in seen.app.title] == [LEAD]
    assert "Start" in labels(seen, "button")
    assert "Training to watch" not in labels(seen, "selectbox")
    assert seen.app.get("plotly_chart") == []
    assert "Everybody on this server watches the same training" in seen.text


@pytest.mark.parametrize(("switch", "address"), [("off", "localhost"), ("", "0.0.0.0")])
def test_where_training_is_not_allowed_the_page_says_so(
    visit: Any, models: Any, monkeypatch: pytest.MonkeyPatch, switch: str, address: str
) -> None:
    models("flat")
    monkeypatch.setenv("CNNVIZ_TRAINING", switch)
    get = st.get_option
    monkeypatch.setattr(
        st, "get_option", lambda name: address if name == "server.address" else get(name)
    )
    seen = quiet(visit("training"))
    assert "Training is switched off on this server" in seen.text
    assert "Start" not in labels(seen, "button")


def test_a_replay_is_offered_where_training_is_switched_off(
    visit: Any, models: Any, replay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models("flat")
    monkeypatch.setenv("CNNVIZ_TRAINING", "off")
    seen = quiet(visit("training"))
    assert "switched off" not in seen.text
    assert seen.figure("training loss")["data"]


def test_the_form_offers_what_suits_the_photos(visit: Any, models: Any) -> None:
    models("flat")
    seen = visit("training")
    (network,) = [one for one in seen.app.main.selectbox if one.label == "Network"]
    assert network.options == ["Lesson: digits", "Tiny VGG"]
    seen.choose("Photos", "zip")
    (network,) = [one for one in seen.app.main.selectbox if one.label == "Network"]
    assert network.options == [
        "Lesson: digits",
        "Lesson: class activation map",
        "Transfer learning",
        "Transfer learning, last layer only",
        "Tiny VGG",
    ]
    # Without a zip there is nothing to start.
    (start,) = [one for one in seen.app.button if one.label == "Start"]
    assert start.disabled
    assert "At most 5,000 photos" in str(
        [one.proto.help for one in seen.app.file_uploader if "zip" in one.label]
    )


# --- Replays ------------------------------------------------------------------------------------


def test_the_slider_shows_the_network_after_each_epoch(
    visit: Any, models: Any, replay: Path
) -> None:
    models("flat")
    seen = quiet(visit("training"))
    assert seen.chosen("Training to watch") == "pets_training"
    assert slider(seen).options == ["1", "2 (best)", "3"]
    shown = {}
    for number in (3, 1, 2):
        seen = quiet(seen.run(slider(seen).set_value(number)))
        network = cnnviz.load_model(replay / EPOCHS[number - 1].checkpoint, preset="unit")
        assert f"“{('cat', 'dog', 'owl')[number - 1]}”" in seen.app.subheader[0].value
        maps = cnnviz.activations(network, chelsea(), ["conv1"])["conv1"]
        count = maps.shape[-1]
        tiles = seen.tiles("training activations")
        assert tiles["label"] == f"{count} of {count} channels of conv1"
        np.testing.assert_allclose(tiles["values"], np.moveaxis(maps, -1, 0), rtol=1e-3, atol=1e-4)
        shown[number] = seen.tiles("training filters")["values"].tobytes()
        (mark,) = [
            shape
            for shape in seen.figure("training loss")["layout"]["shapes"]
            if "dash" in str(shape)
        ]
        assert mark["x0"] == number
    assert len(set(shown.values())) == 3


UNTRAINED = Epoch(0, None, None, 3.0, 0.9, 0.0, 0.0)


def test_the_untrained_network_is_epoch_0(
    visit: Any, models: Any, replay: Path, fill_training: Callable[..., Path]
) -> None:
    """In the slider, in the curves and on the page; it is not the best one."""
    models("flat")
    fill_training(replay, [UNTRAINED])
    seen = quiet(visit("training"))
    assert "This is the network before its first step" in seen.text
    fill_training(replay, [UNTRAINED, *EPOCHS[:2]])
    seen = quiet(seen.run())
    assert slider(seen).options == ["0 (untrained)", "1", "2 (best)"]
    assert slider(seen).value == 2
    for key, validation in (("training loss", 3.0), ("training accuracy", 0.9)):
        training, measured = seen.figure(key)["data"]
        assert list(training["x"]) == list(measured["x"]) == [0, 1, 2]
        assert (training["y"][0], measured["y"][0]) == (None, validation)
    seen = quiet(seen.run(slider(seen).set_value(0)))
    # The weights of this one are all 0.
    assert not seen.tiles("training filters")["values"].any()


def replayed(seen: Any) -> Any:
    """Runs the page until all frames of its replay are there."""
    for _ in range(40):
        if not seen.app.get("progress"):
            return quiet(seen)
        seen.run()
    raise AssertionError("The frames do not come.")


def test_the_frames_of_a_replay_are_the_answers_for_each_epoch(
    visit: Any, models: Any, replay: Path, fill_training: Callable[..., Path]
) -> None:
    models("flat")
    history = [UNTRAINED, *EPOCHS]
    fill_training(replay, history)
    seen = replayed(visit("training", show="replay"))
    sent = seen.viewer("training replay")
    # Nobody has said what the photo is: the newest network's answer.
    assert sent["evidence"]["title"].endswith("for “owl”")
    assert [one["name"] for one in sent["epochs"]] == ["0 (untrained)", "1", "2", "3"]
    captions = [one["caption"] for one in sent["epochs"]]
    assert captions[0].startswith("Untrained · 90.0 % right · “owl” ")
    assert captions[1:] == [
        "Epoch 1 of 3 · 25.0 % right · “owl” 0.0 % · it says “cat”",
        "Epoch 2 of 3 · 75.0 % right · “owl” 0.0 % · it says “dog”",
        "Epoch 3 of 3 · 50.0 % right · “owl” > 99.9 %",
    ]
    filters, channels = sent["grids"]
    largest = 0.0
    for at, epoch in enumerate(history):
        network = cnnviz.load_model(replay / epoch.checkpoint, preset="unit")
        kernels = np.moveaxis(cnnviz.filters(network, "conv1").kernels, -1, 0)
        # The photo's colours, red first.
        np.testing.assert_allclose(filters["values"][at], kernels, atol=1e-3)
        maps = cnnviz.activations(network, chelsea(), ["conv1"])["conv1"]
        np.testing.assert_allclose(
            channels["values"][at], np.moveaxis(maps, -1, 0), rtol=2e-3, atol=1e-3
        )
        cam = cnnviz.class_activation_map(network, chelsea(), 2)
        np.testing.assert_allclose(sent["evidence"]["values"][at], cam.values, rtol=2e-3, atol=1e-3)
        largest = max(largest, float(np.abs(kernels).max()))
    # One scale for all epochs.
    assert filters["limits"] == pytest.approx([-largest, largest])
    assert channels["limits"][1] == pytest.approx(channels["values"].max(), rel=1e-3)
    # In place of one epoch's slider and pictures.
    assert [one.label for one in seen.app.get("select_slider")] == []


def test_a_damaged_checkpoint_leaves_the_other_frames(
    visit: Any, models: Any, replay: Path
) -> None:
    models("flat")
    (replay / EPOCHS[1].checkpoint).write_text("no model")
    seen = visit("training", show="replay")
    assert [one.message for one in seen.app.exception] == []
    (error,) = seen.app.error
    assert "cannot be loaded" in error.value
    assert [one["name"] for one in seen.viewer("training replay")["epochs"]] == ["1", "3"]


def test_of_many_epochs_some_are_played() -> None:
    """Every fourth of 81, the best and the last one; of one more, almost the same ones."""
    from cnnviz.ui.page_parts.training import frames

    history = [UNTRAINED] + [epoch(number, 0.9 if number == 30 else 0.5) for number in range(1, 81)]
    numbers = [one.number for one in frames.choose(history)]
    assert numbers == [*range(0, 29, 4), 30, *range(32, 81, 4)]
    more = [one.number for one in frames.choose([*history, epoch(81, 0.5)])]
    assert more == [*numbers, 81]
    assert len(more) <= frames.MOST_EPOCHS
    assert frames.choose(history[:22]) == history[:22]


def test_the_networks_of_two_epochs_are_compared(visit: Any, models: Any, replay: Path) -> None:
    """The first epoch's network is sure of the first class, the third one's of the third."""
    models("flat")
    seen = quiet(visit("compare", compare="epochs", classes=["cat", "owl"]))
    rows = seen.viewer("comparison")["rows"]
    assert [(row["title"], *row["lines"], row["share"]) for row in rows] == [
        ("cat", "Epoch 1", "> 99.9 %"),
        ("owl", "Epoch 1", "0.0 %"),
        ("cat", "Epoch 3", "0.0 %"),
        ("owl", "Epoch 3", "> 99.9 %"),
    ]


def test_the_curves_are_those_of_the_history(visit: Any, models: Any, replay: Path) -> None:
    models("flat")
    seen = visit("training")
    for key, training, validation in (
        ("training loss", [2.0, 1.0, 2 / 3], [2.5, 1.25, 2.5 / 3]),
        ("training accuracy", [0.125, 0.375, 0.25], [0.25, 0.75, 0.5]),
    ):
        first, second = seen.figure(key)["data"]
        assert (first["name"], second["name"]) == ("training", "validation")
        np.testing.assert_allclose(first["y"], training)
        np.testing.assert_allclose(second["y"], validation)
        assert list(first["x"]) == [1, 2, 3]


def test_the_newest_epoch_is_shown_until_another_is_chosen(
    visit: Any, models: Any, replay: Path, fill_training: Callable[..., Path]
) -> None:
    models("flat")
    fill_training(replay, EPOCHS[:1])
    seen = visit("training")
    assert "The first epoch is done" in seen.text
    fill_training(replay, EPOCHS[:2])
    assert slider(seen.run()).value == 2
    write_history(replay, EPOCHS)
    assert slider(seen.run()).value == 3
    seen.run(slider(seen).set_value(1))
    fill_training(replay, [*EPOCHS, epoch(4, 0.6)], without=(4,))
    # An epoch without a checkpoint is in the curves, and cannot be chosen.
    assert slider(seen.run()).value == 1
    assert slider(seen).options == ["1", "2 (best)", "3"]
    assert list(seen.figure("training loss")["data"][0]["x"]) == [1, 2, 3, 4]


def test_a_link_names_an_epoch(visit: Any, models: Any, replay: Path) -> None:
    models("flat")
    seen = quiet(visit("training", epoch="2"))
    assert slider(seen).value == 2
    assert "“dog”" in seen.app.subheader[0].value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("card.json", None, "There is no training in"),
        ("card.json", "{}", "card.json needs a correction"),
        ("history.csv", "number,loss\n1,no number\n", "history.csv is damaged"),
        ("epoch-003-0.5000.keras", "no model", "cannot be loaded"),
    ],
)
def test_a_damaged_replay_is_reported(
    visit: Any, models: Any, replay: Path, name: str, text: str | None, message: str
) -> None:
    models("flat")
    if text is None:
        (replay / name).unlink()
    else:
        (replay / name).write_text(text)
    seen = visit("training")
    assert [one.message for one in seen.app.exception] == []
    (error,) = seen.app.error
    assert message in error.value.replace("\\", "")
    # The form is still there.
    assert "Start" in labels(seen, "button")


def test_a_missing_replay_is_reported(
    visit: Any, models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models("flat")
    monkeypatch.setenv("CNNVIZ_REPLAY", str(tmp_path / "nowhere"))
    (error,) = visit("training").app.error
    assert "There is no training in" in error.value


def test_trainings_beside_the_models_are_offered_and_trusted_like_these(
    visit: Any,
    models: Any,
    replay: Path,
    fill_training: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cnnviz.ui.page_parts.training import views

    folder = models("flat")
    fill_training(folder / "other_training", EPOCHS)
    (folder / "no_training").mkdir()
    seen = visit("training")
    (choice,) = [one for one in seen.app.selectbox if one.label == "Training to watch"]
    assert len(choice.options) == 2
    assert seen.chosen("Training to watch") == "pets_training"
    assert [one.trusted for one in views.beside_models()] == [True]
    monkeypatch.setenv("CNNVIZ_TRUST", "off")
    assert [one.trusted for one in views.beside_models()] == [False]
    assert [one.trusted for one in views.named_in_settings()] == [True]


def test_an_untrusted_training_is_shown_by_a_confined_process(
    visit: Any,
    models: Any,
    fill_training: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = models("flat")
    fill_training(folder / "other_training", EPOCHS)
    monkeypatch.setenv("CNNVIZ_TRUST", "off")
    seen = quiet(visit("training"))
    assert "“owl”" in seen.app.subheader[0].value
    assert seen.tiles("training filters")["values"].any()
    untrusted = [Path(pool.name).name for pool in worker_pools.running() if pool.untrusted]
    assert EPOCHS[2].checkpoint in untrusted


# --- A training in the app ----------------------------------------------------------------------


@pytest.fixture
def trained(fill_training: Callable[..., Path]) -> Iterator[TrainingJob]:
    """A finished job of this server: its files, without a process."""
    name = f"pets_tiny_vgg_{training_jobs.count() + 1}"
    job = training_jobs.add(TrainingRequest(name, "pets.zip", "pets", "tiny-vgg", 3))
    fill_training(run_folder(job.model), EPOCHS)
    job.report(TrainingStatus("finished", "Files that could not be read and were left out: 7."))
    yield job
    training_jobs.remove(job)


def finish(job: TrainingJob, fresh: Any, save: Any) -> None:
    """Writes the model, with a card that describes its training."""
    from cnnviz.cards import write_card
    from cnnviz.storage import card_path

    network = fresh("flat")
    save(network.model, job.model)
    counts = [[5, 0, 1], [0, 6, 0], [2, 0, 4]]
    training = Training(
        data="pets.zip",
        split="by a hash",
        confusion=Confusion(counts=counts, on="the 18 validation photos"),
        epochs=3,
        seconds=61.6,
    )
    card = network.card.model_copy(update={"training": training, "title": "pets tiny vgg"})
    write_card(card, card_path(job.model))


def test_the_model_of_a_finished_training_can_be_saved_and_used(
    visit: Any, models: Any, trained: TrainingJob, fresh: Any, save: Any
) -> None:
    models("two_classes")
    finish(trained, fresh, save)
    seen = quiet(visit("training"))
    message = seen.app.success[0].value
    assert "The network is trained" in message
    assert "“A tiny network”" in message
    assert "left out: 7" in seen.text
    assert [one.label for one in seen.app.get("download_button")] == [
        "Save the model",
        "Save its description",
    ]
    (network,) = [one for one in seen.app.sidebar.selectbox if one.label == "Network"]
    assert "pets tiny vgg" in network.options
    seen.turn_to("explore", model=trained.request.name).fine()
    assert "**Epochs:** 3 in 62 s" in seen.raw
    assert "which, on the 18 validation photos:" in seen.text
    assert "| **owl** | 2 | · | 4 |" in seen.raw


def test_a_failed_training_without_an_epoch_shows_the_reason(
    visit: Any, models: Any, trained: TrainingJob
) -> None:
    models("flat")
    shutil.rmtree(run_folder(trained.model))
    trained.report(TrainingStatus("failed", "photos.zip has no classes: –."))
    seen = visit("training")
    assert [one.message for one in seen.app.exception] == []
    assert [one.value.replace("\\", "") for one in seen.app.error] == [
        "photos.zip has no classes: –."
    ]
    assert seen.app.get("plotly_chart") == []
    (start,) = [one for one in seen.app.button if one.label == "Start"]
    assert not start.disabled


def test_an_active_training_is_shown_and_prevents_another(
    visit: Any, models: Any, trained: TrainingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    models("flat")
    monkeypatch.setattr(training_jobs, "process_id", lambda: 1)
    trained.report(TrainingStatus("preparing", photos_done=3, photos=12))
    assert "Preparing the photos: 3 of 12" in visit("training").app.get("progress")[0].proto.text
    trained.report(
        TrainingStatus(
            "training",
            epoch=4,
            epochs=8,
            step=5,
            steps=10,
            loss=0.5,
            accuracy=0.75,
            seconds_left=120,
        )
    )
    trained.report_batches(
        [BatchFigures(4, 4, 10, 0.75, 0.5), BatchFigures(4, 5, 10, 0.25, 1.0)],
        np.zeros((2, 8, 8, 3), np.uint8),
        ["cat", "<b>"],
    )
    for seen in (visit("training"), visit("training")):
        quiet(seen)
        (bar,) = seen.app.get("progress")
        assert bar.proto.text == (
            "Epoch 4 of 8 · its training photos so far: loss 0.500, accuracy 75.0% "
            "· about 2 min left"
        )
        assert bar.proto.value == round(100 * 3.5 / 8 - 0.5)
        (start,) = [one for one in seen.app.button if one.label == "Start"]
        assert start.disabled
        assert "this server does one at a time" in seen.text
        # What its batches are, as the process has told it.
        (body,) = [
            one.proto.body for one in seen.app.get("html") if 'class="batches"' in one.proto.body
        ]
        assert "From batch 5 of epoch 4, as the network got them" in body
        assert "epochs 3.40 to 3.50" in body
        assert re.findall("<figcaption.*?>(.*?)</figcaption>", body) == ["cat", "&lt;b&gt;"]
        # The axis extends to the last epoch of the training.
        assert seen.figure("training loss")["layout"]["xaxis"]["range"] == [0.5, 8.5]
    (stop,) = [one for one in seen.app.button if one.label == "Stop for everybody"]
    seen.run(stop.click())
    assert trained.is_stop_requested()
    assert "It is stopping" in seen.text


def test_the_newest_training_is_shown_until_another_is_chosen(
    visit: Any, models: Any, trained: TrainingJob, replay: Path
) -> None:
    models("flat")
    seen = visit("training")
    assert seen.chosen("Training to watch") == trained.request.name
    other = training_jobs.add(TrainingRequest("more_1", "x.zip", "x", "tiny-vgg", 3))
    other.report(TrainingStatus("finished"))
    try:
        assert seen.run().chosen("Training to watch") == "more_1"
        seen.choose("Training to watch", "pets_training")
    finally:
        training_jobs.remove(other)
    assert seen.run().chosen("Training to watch") == "pets_training"


def test_a_long_name_is_cut(visit: Any, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    models("flat")
    requests = []
    monkeypatch.setattr(training_jobs, "start", lambda request, upload: requests.append(request))
    seen = visit("training")
    seen.choose("Photos", "zip")
    (uploader,) = [one for one in seen.app.file_uploader if "zip" in one.label]
    seen.run(uploader.set_value(("ü" * 120 + ".zip", b"zip", "application/zip")))
    (start,) = [one for one in seen.app.button if one.label == "Start"]
    seen.run(start.click())
    (request,) = requests
    assert request.name == f"{'ü' * 40}_transfer_quick_{training_jobs.count() + 1}"
    assert request.source_name == "ü" * 40
    assert len(f"{request.name}_training".encode()) < 255
