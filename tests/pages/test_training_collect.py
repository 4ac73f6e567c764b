"""Photos collected on the Training page: they stay in the session until a training starts."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnviz.errors import TrainingError
from cnnviz.photos.encoding import encode_png
from cnnviz.serving import training_jobs
from cnnviz.serving.training_jobs import TrainingRequest
from cnnviz.training.data import collecting as data
from cnnviz.training.runs import TrainingStatus
from cnnviz.ui.components.collect import CollectEvent, parse
from cnnviz.ui.page_parts.training import collecting
from cnnviz.ui.web import uploads

PNG = "image/png"


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """People may train here, and nobody has."""
    monkeypatch.setenv("CNNVIZ_TRAINING", "on")
    training_jobs.reset()
    yield
    training_jobs.reset()


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    return encode_png(pixels)


def give(seen: Any, name: str, files: list[tuple[str, bytes, str]]) -> Any:
    """Drops files on the uploader of a class."""
    (uploader,) = [one for one in seen.app.file_uploader if one.label == f"Photos of {name}"]
    return seen.run(uploader.set_value(files))


def give_photos(seen: Any, name: str, seeds: range) -> Any:
    return give(seen, name, [(f"{seed}.png", photo(seed), PNG) for seed in seeds])


def rename(seen: Any, number: int, name: str) -> Any:
    (field,) = [one for one in seen.app.text_input if one.key == f"class name {number}"]
    return seen.run(field.set_value(name))


def names(seen: Any) -> list[str]:
    return [one.value for one in seen.app.text_input if one.label == "Class"]


def shown(seen: Any, number: int) -> list[bytes]:
    """The thumbnails of a class."""
    scene = seen.viewer(f"collected {number}")
    assert scene["enough"] == 10
    return [one["picture"].tobytes() for one in scene["photos"]]


def start(seen: Any) -> Any:
    return seen.widget("Start")


@pytest.fixture
def seen(visit: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page with a collection of two classes, cat and dog, without photos."""
    # `AppTest` has no server whose files could be counted.
    monkeypatch.setattr(uploads, "refusal_of", lambda _: None)
    page = visit("training", data="collect")
    assert [one.message for one in page.app.exception] == []
    assert names(page) == ["Class 1", "Class 2"]
    return rename(rename(page, 1, "cat"), 2, "dog")


def test_photos_are_collected_and_trained_on(seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(training_jobs, "start", lambda *what: started.append(what))
    assert "These photos are in your session alone until you press Start" in seen.text
    assert "“cat” has no photos, and needs at least 2" in seen.text
    assert start(seen).disabled
    # A file that is none is listed with the reason, and the others stay.
    give(seen, "cat", [("a.png", photo(1), PNG), ("b.png", b"bad", PNG), ("c.png", photo(2), PNG)])
    assert "b.png: This file cannot be read as a photo" in seen.text
    assert shown(seen, 1) == [data.read_photo(photo(seed)).thumbnail for seed in (1, 2)]
    give_photos(seen, "dog", range(1, 4))
    assert "1.png: This photo is in the class “cat” already" in seen.text
    assert len(shown(seen, 2)) == 1
    assert "“dog” has 1 photo, and needs at least 2" in seen.text
    assert start(seen).disabled
    give_photos(seen, "dog", range(4, 6))
    assert "needs at least" not in seen.text
    assert "cannot be read" in seen.text
    assert seen.app.selectbox(key="training network True").value == "transfer-quick"
    seen.run(start(seen).click())
    ((request, upload),) = started
    assert request.name == "cat-dog_transfer_quick_1"
    assert (request.architecture, request.source_name) == ("transfer-quick", "cat-dog")
    members = zipfile.ZipFile(io.BytesIO(upload)).namelist()
    assert members == ["cat/001.png", "cat/002.png", "dog/001.png", "dog/002.png", "dog/003.png"]


def test_they_survive_other_pages_and_a_start_that_fails(
    seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise TrainingError("The training cannot begin: No space left on device.")

    monkeypatch.setattr(training_jobs, "start", fail)
    give_photos(seen, "cat", range(2))
    give_photos(seen, "dog", range(2, 4))
    before = shown(seen, 1)
    seen.turn_to("explore").turn_to("training")
    assert seen.chosen("Photos") == "collect"
    assert names(seen) == ["cat", "dog"]
    assert shown(seen, 1) == before
    seen.run(start(seen).click())
    assert [one.value.replace("\\", "") for one in seen.app.error] == [
        "The training cannot begin: No space left on device."
    ]
    assert shown(seen, 1) == before
    seen.run(seen.widget("Forget these photos").click())
    assert names(seen) == ["Class 1", "Class 2"]
    assert shown(seen, 1) == []
    assert "Forget these photos" not in [one.label for one in seen.app.button]
    assert seen.app.session_state["collection"] == data.Collection()


def test_a_name_that_is_refused_leaves_the_former_one(seen: Any) -> None:
    rename(seen, 2, "Cat")
    assert "There is a class “Cat” already" in seen.text
    assert names(seen) == ["cat", "dog"]
    rename(seen, 2, "a/b")
    assert "cannot be the name of a class" in seen.text
    rename(seen, 2, "hund")
    assert names(seen) == ["cat", "hund"]
    assert "cannot be the name" not in seen.text
    seen.run(seen.widget("Add a class").click())
    assert names(seen) == ["cat", "hund", "Class 3"]
    (remove,) = [one for one in seen.app.button if one.key == "remove class 1"]
    seen.run(remove.click())
    assert names(seen) == ["hund", "Class 3"]


def test_many_reasons_are_counted(seen: Any) -> None:
    give(seen, "cat", [(f"{n}.png", b"bad", PNG) for n in range(8)])
    assert "4.png: This file" in seen.text
    assert "5.png" not in seen.text
    assert "And 3 more." in seen.text


def test_the_camera_and_the_crosses(seen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the browser reports, as its callback gets it."""
    events = [CollectEvent("photos", (photo(1), b"bad", photo(2)))]
    monkeypatch.setattr(collecting.collect, "take", lambda view: events.pop())
    monkeypatch.setattr(collecting.st, "session_state", state := {})
    collecting._handle(1, "view")
    kept = [one.key for one in state["collection"].classes[0].photos]
    assert kept == [data.read_photo(photo(seed)).key for seed in (1, 2)]
    (reason,) = state["problems of the collection"][1]
    assert reason.startswith("Photo 2 of the camera: This file cannot be read")
    events.append(CollectEvent("remove", photo=kept[0]))
    collecting._handle(1, "view")
    assert [one.key for one in state["collection"].classes[0].photos] == kept[1:]


def test_what_is_kept_counts_for_the_budget_of_the_page(
    seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(uploads, "keep", kept.append)
    monkeypatch.setattr(uploads, "refusal_of", lambda _: "Too much." if len(kept) == 2 else None)
    give_photos(seen, "cat", range(3))
    sizes = [data.read_photo(photo(seed)) for seed in range(2)]
    counts = [len(one.file) + len(one.thumbnail) for one in sizes]
    assert kept == [counts[0], sum(counts)]
    assert "2.png: Too much." in seen.text
    assert len(shown(seen, 1)) == 2


def test_the_budget_counts_files_and_what_is_kept_of_all_sessions_that_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = {"one", "other"}
    sessions = SimpleNamespace(
        get_session_info=lambda session: session if session in there else None
    )
    storage = {"one": {"a": SimpleNamespace(data=b"x" * 100, name="", type="")}}
    files = SimpleNamespace(
        file_storage=storage, remove_session_files=lambda session: storage.pop(session, None)
    )
    server = SimpleNamespace(_session_mgr=sessions, uploaded_file_mgr=files)
    person = SimpleNamespace(session_id="one")
    monkeypatch.setattr(uploads.runtime, "exists", lambda: True)
    monkeypatch.setattr(uploads.runtime, "get_instance", lambda: server)
    monkeypatch.setattr(uploads, "get_script_run_ctx", lambda: person)
    monkeypatch.setattr(uploads, "_kept", {})
    monkeypatch.setenv("CNNVIZ_SESSION_UPLOADS_MB", "2")
    monkeypatch.setenv("CNNVIZ_ALL_UPLOADS_MB", "3")
    megabyte = 1 << 20
    uploads.keep(megabyte)
    assert uploads.stored_bytes()["one"] > megabyte + 100
    assert uploads.refusal_of(megabyte // 2) is None
    assert "files of 2 MB in total" in str(uploads.refusal_of(megabyte))
    person.session_id = "other"
    uploads.keep(megabyte // 2)
    assert uploads.refusal_of(megabyte) is None
    assert "the 3 MB that it has" in str(uploads.refusal_of(megabyte * 3 // 2 - 50))
    # The first person has left.
    there.remove("one")
    assert uploads.refusal_of(megabyte * 3 // 2 - 50) is None
    assert uploads.stored_bytes() == {"other": megabyte // 2}


def test_what_the_browser_may_send() -> None:
    text = base64.b64encode(b"picture").decode()
    assert parse({"action": "photos", "pictures": [text, text]}) == CollectEvent(
        "photos", (b"picture", b"picture")
    )
    assert parse({"action": "remove", "photo": "a"}) == CollectEvent("remove", photo="a")


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "photos",
        {"action": "photos"},
        {"action": "photos", "pictures": []},
        {"action": "photos", "pictures": "AAAA"},
        {"action": "photos", "pictures": ["AAAA"] * 41},
        {"action": "photos", "pictures": ["A" * 400_004]},
        {"action": "photos", "pictures": ["AAAA", 7]},
        {"action": "photos", "pictures": ["no base64!"]},
        {"action": "photos", "pictures": ["é"]},
        {"action": "remove", "photo": 1},
        {"action": "run"},
    ],
)
def test_what_no_browser_sends_is_no_event(payload: Any) -> None:
    assert parse(payload) is None


def test_the_model_is_tried_on_other_pages(visit: Any, models: Any, fresh: Any, save: Any) -> None:
    from cnnviz.cards import write_card
    from cnnviz.storage import card_path

    models("flat")
    job = training_jobs.add(TrainingRequest("pets_1", "pets.zip", "pets", "tiny-vgg", 3))
    network = fresh("two_classes")
    save(network.model, job.model)
    write_card(network.card, card_path(job.model))
    job.report(TrainingStatus("finished"))
    seen = visit("training")
    assert [one.message for one in seen.app.exception] == []
    assert "Try it: choose a photo" in seen.text
    seen.run(seen.widget("Class activation map").click())
    assert seen.app.query_params["model"] == "pets_1"
    assert seen.chosen("Network") == "pets_1"
    seen.turn_to("training").run(seen.widget("Explore").click())
    assert seen.chosen("Network") == "pets_1"
