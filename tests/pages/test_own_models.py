"""Uploaded models: opened, refused, with a card set by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from corpus import models as corpus
from helpers import chelsea

import cnnviz
from cnnviz.photos.preprocessing import network_view
from cnnviz.serving import worker_pools
from cnnviz.ui.sidebar import own_models


@pytest.fixture(scope="module", autouse=True)
def kept() -> Iterator[Path]:
    """The folder with the uploaded files; their processes run until the last test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "get_option", lambda name: 200 if "Size" in name else "localhost")
        yield Path(own_models.uploaded_files().folder.name)
    for pool in worker_pools.running():
        if pool.untrusted:
            worker_pools.discard(pool)
    st.cache_resource.clear()


def banner(seen: Any) -> Any:
    """The part of every page in which classes are named."""
    (found,) = [
        one
        for one in seen.app.expander
        if one.label.strip("*").startswith(("Name ", "Class names"))
    ]
    return found


def file_of(name: str) -> bytes:
    return next(case for case in corpus.CASES if case.name == name).make()


def test_an_uploaded_model_becomes_the_network(visit: Any, models: Any, saved: Any) -> None:
    models("two_classes")
    seen = visit().fine()
    seen.give_model("mine.keras", saved("flat").read_bytes()).fine()
    assert seen.chosen("Network") == "mine.keras"
    assert banner(seen).proto.expanded
    seen.pick_preset("unit").fine()
    network = cnnviz.load_model(saved("flat"), preset="unit")
    best = cnnviz.predict(network, chelsea()).top(1)[0]
    assert seen.answer == best.label
    # It is the network of every page.
    looking = ("network", "filters", "activations", "maximise")
    for page in (*looking, "class_activation_map", "compare", "occlude", "lessons"):
        seen.turn_to(page).fine()
        assert seen.chosen("Network") == "mine.keras"
    # Other sessions do not have it.
    assert len(visit().fine().widget("Network").options) == 1


# Tests of one file follow each other: its process starts once.
def test_names_and_preprocessing_are_set_by_hand_and_kept_on_all_pages(
    visit: Any, models: Any, saved: Any
) -> None:
    models("two_classes")
    seen = visit().fine()
    seen.give_model("mine.keras", saved("flat").read_bytes()).fine()
    view = network_view(chelsea(), cnnviz.load_model(saved("flat")).card.preprocessing)
    shown = seen.pictures[1]
    times = shown.shape[0] // view.shape[0]
    np.testing.assert_array_equal(
        shown[::times, ::times], np.broadcast_to(view, (*view.shape[:2], 3))
    )
    seen.app.text_area[0].set_value("lion\ntiger\nbear")
    seen.widget("Values of the pixels").set_value("tf")
    seen.run(seen.widget("Use these").click()).fine()
    assert not banner(seen).proto.expanded
    network = cnnviz.load_model(saved("flat"))
    card = network.card.model_copy(
        update={
            "labels": ["lion", "tiger", "bear"],
            "preprocessing": network.card.preprocessing.model_copy(update={"scaling": "tf"}),
        }
    )
    from cnnviz.networks.loading import with_card

    best = cnnviz.predict(with_card(network, card), chelsea()).top(1)[0]
    assert seen.answer == best.label
    answer = f"{best.probability:.1%}".replace("%", " %")
    assert seen.walk["classes"][0]["answer"] == answer
    # A wrong number of names is reported, also on the next page, and those that were set stay.
    seen.app.text_area[0].set_value("lion\ntiger")
    seen.run(seen.widget("Use these").click())
    assert "has 3 classes, and here are 2 names" in seen.text
    assert seen.answer == best.label
    seen.turn_to("network")
    assert [one.value for one in seen.app.error] == [
        "The network has 3 classes, and here are 2 names\\."
    ]
    assert seen.app.text_area[0].value == "lion\ntiger"
    seen.run(seen.widget("Back to what is inferred").click()).fine()
    assert seen.app.text_area[0].value == "class 0\nclass 1\nclass 2"
    assert banner(seen).proto.expanded


def test_a_card_set_by_hand_changes_the_activations(visit: Any, models: Any, saved: Any) -> None:
    models("two_classes")
    seen = visit().fine()
    seen.give_model("mine.keras", saved("flat").read_bytes()).fine()
    seen.turn_to("activations").pick_preset("unit")
    before = seen.fine().tiles("activations 0")["values"]
    seen.widget("Values of the pixels").set_value("tf")
    seen.run(seen.widget("Use these").click()).fine()
    assert not np.array_equal(seen.tiles("activations 0")["values"], before)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("lambda", "lambda-code"),
        ("bomb", "zip-bomb"),
        ("lfs-pointer", "lfs-pointer"),
        ("two-models-in-a-zip", "several-models"),
    ],
)
def test_a_refused_model_leaves_the_network_and_no_file(
    visit: Any, models: Any, kept: Path, name: str, code: str
) -> None:
    models("flat")
    seen = visit().fine()
    before, files, pools = seen.walk["maps"][0], set(kept.iterdir()), worker_pools.running()
    seen.give_model("theirs.keras", file_of(name))
    (message,) = [one.value for one in seen.app.error]
    assert "theirs" in message
    assert code in message.replace("\\", "")
    assert seen.chosen("Network") == "flat"
    np.testing.assert_array_equal(seen.walk["maps"][0], before)
    assert set(kept.iterdir()) == files
    assert set(worker_pools.running()) <= set(pools)


def test_two_uploads_of_the_same_bad_file_get_the_same_message(
    visit: Any, models: Any, kept: Path
) -> None:
    models("flat")
    data = file_of("lambda")
    store, path = own_models.uploaded_files(), kept / f"{hashlib.sha256(data).hexdigest()}.keras"
    # As if another session were opening it at this moment.
    store.opening[str(path)] += 1
    seen = visit().fine()
    seen.give_model("theirs.keras", data)
    assert "lambda-code" in seen.app.error[0].value.replace("\\", "")
    assert path.exists()
    store.opening[str(path)] -= 1
    other = visit().fine()
    other.give_model("ours.keras", data)
    assert "lambda-code" in other.app.error[0].value.replace("\\", "")
    assert not path.exists()


def test_an_output_is_chosen(visit: Any, models: Any, saved: Any) -> None:
    models("two_classes")
    seen = visit().fine()
    seen.give_model("mine.keras", saved("several_outputs").read_bytes()).fine()
    assert seen.chosen("Output") == "scores"
    seen.choose("Output", "mood").fine()
    network = cnnviz.load_model(saved("several_outputs"))
    assert seen.app.query_params["output"] == "mood"
    assert f"({max(network.outputs['mood'], 2)})" in seen.app.text_area[0].label


def test_of_many_files_the_one_used_longest_ago_is_deleted(
    visit: Any, models: Any, saved: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_models, "MOST_FILES", 1)
    models("two_classes")
    seen = visit().fine()
    seen.give_model("mine.keras", saved("flat").read_bytes()).fine()
    other = visit().fine()
    other.give_model("theirs.zip", file_of("keras-2-in-a-zip")).fine()
    seen.turn_to("network")
    assert "mine.keras was deleted" in seen.text + seen.app.error[0].value.replace("\\", "")
    assert seen.chosen("Network") == "two_classes"
    assert seen.app.exception == []


def test_a_zip_with_a_model_and_its_labels_becomes_the_network(visit: Any, models: Any) -> None:
    models("flat")
    seen = visit().fine()
    seen.give_model("converted_keras.zip", file_of("keras-2-in-a-zip")).fine()
    assert seen.chosen("Network") == "converted_keras.zip"
    assert seen.app.text_area[0].value == "cats\ndogs\nowls"
    seen.pick_preset("unit").fine()
    assert seen.answer in ("cats", "dogs", "owls")


def test_the_model_inside_a_multi_gpu_file_is_offered(visit: Any, models: Any) -> None:
    models("flat")
    seen = visit().fine()
    seen.give_model("cards.h5", file_of("multi-gpu"))
    seen.run(seen.widget("Open the model inside").click()).fine()
    assert seen.chosen("Network") == "cards.h5 (inside)"
    assert seen.pick_preset("unit").fine().answer.startswith("class ")


@pytest.mark.parametrize(("switch", "offered"), [("off", False), ("on", True)])
def test_the_switch_decides(
    visit: Any, models: Any, monkeypatch: pytest.MonkeyPatch, switch: str, offered: bool
) -> None:
    models("flat")
    monkeypatch.setenv("CNNVIZ_UPLOADS", switch)
    labels = [one.label for one in visit().fine().app.file_uploader]
    assert ("A saved Keras model" in labels) is offered


def test_a_public_address_offers_no_uploads_by_itself(
    visit: Any, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models("flat")
    monkeypatch.setattr(st, "get_option", lambda name: "0.0.0.0")
    assert [one.label for one in visit().fine().app.file_uploader] == ["Your photo"]
