"""A visitor without a browser, which the benchmark of a class and the proof of replicas use."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

from benchmarks.cameras import frames, header
from scripts.visitor import visitor
from tests.e2e.in_a_thread import run

MODEL = "?model=imagenet_efficientnet_lite0"


def test_a_visitor_goes_through_the_app(server: Any, photo: bytes) -> None:
    async def visit() -> None:
        async with visitor(server.url) as person, visitor(server.url) as other:
            await person.open(MODEL)
            await other.open("filters?model=mnist_cnn&layer=conv2")
            assert other.chosen("Layer")[0].startswith("conv2 ")
            await person.upload("mine.png", photo)
            assert person.captions[0].startswith("mine.png")
            # The first page shows the photo once more, until there is a walk.
            own = person.thumbnails[:1]
            await person.turn_to("activations")
            another = person.options("Layers")[3]
            await person.choose("Layers", another)
            assert person.chosen("Layers") == [another]
            assert f"channel:{another.split(' ')[0]}" in person.charts
            assert len(person.viewers["activations 0"]) > 10_000
            assert person.link == f"activations{MODEL}&photo=own&layer={another.split(' ')[0]}"
            await other.choose("Network", person.chosen("Network")[0])
            assert person.captions[0].startswith("mine.png")
            assert person.thumbnails == own != other.thumbnails
            assert not other.captions[0].startswith("mine.png")
            await person.turn_to("class_activation_map", "method=occlusion")
            while person.repeats:
                await person.wait_and_repeat()
            assert json.loads(person.charts["map alone"])["data"]
            assert person.problems + other.problems == []

    run(visit())


def test_a_visitor_s_camera_is_answered(server: Any) -> None:
    async def visit() -> None:
        async with visitor(server.url) as person:
            await person.open(MODEL)
            walk = header(person.viewers["walk"])["id"]
            await person.report("walk", {"scene": walk, "action": "live"})
            for number, picture in enumerate(frames(7)[:2], start=1):
                event = {"action": "frame", "number": number, "picture": picture}
                await person.report("live camera", event)
                answer = header(person.viewers["live camera"])["answer"]
                assert (answer["number"], answer["problem"]) == (number, "")
                assert answer["classes"][0][0] == answer["target"]
            await person.report("live camera", {"action": "stop"})
            assert "walk" in person.viewers
            assert "live camera" not in person.viewers
            assert person.problems == []

    run(visit())


def test_a_visitor_reports_what_goes_wrong(server: Any) -> None:
    async def visit() -> list[str]:
        async with visitor(server.url) as person:
            await person.open("no_such_page")
            await person.upload("broken.jpg", b"no photo at all")
            return person.problems

    page, file = run(visit())
    assert page == "there is no such page"
    assert file.startswith("broken.jpg: ")


def test_a_visitor_of_a_server_that_is_gone_waits_for_nothing() -> None:
    async def visit() -> None:
        async with visitor("http://localhost:9"):
            pytest.fail("No server listens there.")

    with pytest.raises((requests.RequestException, ConnectionClosed, InvalidStatus)):
        run(visit())
