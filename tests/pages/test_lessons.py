"""The page Lessons: the answer comes after the guess, and is the library's."""

from __future__ import annotations

import re
from html import escape
from typing import Any

import numpy as np
import pytest
from helpers import chelsea

import cnnviz
from cnnviz.attribution.localization import find_parts
from cnnviz.cards import read_card
from cnnviz.lessons.shortcut import marked
from cnnviz.numerals import percent
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.preprocessing import NetworkView, network_view
from cnnviz.photos.samples import samples
from cnnviz.serving import workers
from cnnviz.serving.model_files import model_file
from cnnviz.settings import ROOT
from cnnviz.storage import card_path
from cnnviz.ui.page_parts.lessons import attention, class_maps, filters, pooling
from cnnviz.ui.page_parts.lessons.colour_planes import telling_plane
from cnnviz.ui.page_parts.lessons.contents import LESSONS
from scripts import teaching_notes

_ANSWER = re.compile(r"You guessed|You said|(\d|of them) are right|This is the IoU")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "PAUSE", 0)


def text_of(seen: Any) -> str:
    """All texts of the page, without marks of bold ones."""
    praise = [one.value for one in seen.app.success]
    return "\n".join([seen.text, *praise]).replace("**", "")


def guess(seen: Any) -> Any:
    """Takes the first of the options; or fills in a grid with ones."""
    buttons = [one for one in seen.app.button if re.match("(guess|ninth) ", one.key or "")]
    if buttons:
        return seen.run(buttons[0].click())
    for field in seen.app.number_input:
        field.set_value(1.0)
    return seen.run(seen.widget("Check").click())


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.key)
def test_a_lesson_can_be_worked_through(visit: Any, lesson: Any) -> None:
    seen = visit("lessons", model="cat_dog")
    seen.run(next(one for one in seen.app.button if one.key == f"open {lesson.key}").click())
    for step in range(1, len(lesson.steps) + 1):
        assert f"{lesson.title} · {step} of {len(lesson.steps)}" in text_of(seen.fine())
        assert len(seen.app.title) == 1
        assert not _ANSWER.search(text_of(seen)), step
        assert "guess" not in seen.app.query_params
        assert _ANSWER.search(text_of(guess(seen).fine())), step
        assert seen.app.query_params["guess"]
        last = step == len(lesson.steps)
        seen.run(seen.widget("Start again" if last else "Next").click())
    assert f"1 of {len(lesson.steps)}" in text_of(seen)
    assert not _ANSWER.search(text_of(seen))


def test_a_link_names_lesson_step_and_guess(visit: Any) -> None:
    seen = visit("lessons", model="mnist_cnn", lesson="filter", step="2", guess="26 × 26").fine()
    assert "You guessed 26 × 26. The answer is 24 × 24." in text_of(seen)
    seen.run(seen.widget("Back").click())
    assert not _ANSWER.search(text_of(seen))
    seen.run(seen.widget("28 × 28").click())
    assert "The answer is 26 × 26." in text_of(seen)
    # Both guesses are there on the way back, from another page, too.
    seen.turn_to("filters").turn_to("lessons")
    assert "A filter slides · 1 of 8" in text_of(seen)
    assert "You guessed 28 × 28" in text_of(seen)
    seen.run(seen.widget("Next").click())
    assert "You guessed 26 × 26" in text_of(seen)


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ({"lesson": "maths"}, "lesson 'maths'"),
        ({"lesson": "pooling", "step": "9"}, "step '9'"),
        ({"lesson": "pooling", "step": "3", "guess": "7"}, "guess '7'"),
    ],
)
def test_a_link_to_what_is_not_there_says_so(visit: Any, link: dict[str, str], told: str) -> None:
    seen = visit("lessons", model="mnist_cnn", **link).fine()
    assert any(told in one.value for one in seen.app.toast)
    assert not _ANSWER.search(text_of(seen))


def test_a_grid_is_checked_cell_by_cell(visit: Any) -> None:
    seen = visit("lessons", model="mnist_cnn", lesson="pooling", step="2").fine()
    for field, value in zip(seen.app.number_input, (3.75, 4.25, 4.0, None), strict=True):
        field.set_value(value)
    seen.run(seen.widget("Check").click())
    # Nothing is told before all are filled in, and nothing is lost.
    assert not _ANSWER.search(text_of(seen))
    assert seen.app.number_input[0].value == 3.75
    seen.app.number_input[3].set_value(2.5)
    seen.run(seen.widget("Check").click())
    assert "3 of 4 are right." in text_of(seen)
    markup = " ".join(one.proto.body for one in seen.app.get("html"))
    assert re.findall(r"[\d.]+ [✓✗]", markup) == ["3.75 ✓", "4.25 ✓", "4 ✗", "2.5 ✓"]


def test_the_class_map_of_the_lesson_is_the_librarys(visit: Any) -> None:
    model = model_file(ROOT / "models" / "cat_dog.keras")
    head = class_maps.head_of(workers.explain_stages(model, chelsea()))
    assert head is not None
    assert (head.target, head.rival) == ("cat", "dog")
    # Average of the map + bias = logit; and the listed channels' terms are mean × weight.
    assert head.cam.values.mean() + head.cam.bias == pytest.approx(head.cam.score, abs=1e-4)
    terms = dict(zip(head.terms["cat"].order, head.terms["cat"].terms, strict=True))
    means = dict(zip(head.listed.channels, head.means(), strict=True))
    for channel, weight in head.weights("cat").items():
        assert weight * means[channel] == pytest.approx(terms[channel])
    sums, order = class_maps.sums_of(head)
    assert [sums[at].mean() for at in range(1, len(sums) - 1)] == pytest.approx(
        np.cumsum([terms[one] for one in order])
    )
    np.testing.assert_array_equal(sums[-1], head.cam.values)
    seen = visit(
        "lessons", model="cat_dog", sample="chelsea", **{"lesson": "class-map", "step": "4"}
    )
    guess(seen)
    assert f"The answer is {head.cam.score:.3f}." in text_of(seen)


def test_a_network_without_averages_is_told_and_the_photo_stays(visit: Any) -> None:
    seen = visit("lessons", model="mnist_cnn", lesson="class-map")
    seen.upload("mine.png", encode_png(chelsea()[:200, :200]))
    assert "does not average its last maps" in text_of(seen)
    seen.run(seen.widget("Use the cat-or-dog network").click())
    assert seen.chosen("Network") == "cat_dog"
    assert "mine.png" in text_of(seen)
    assert "What does the network keep of each of its last maps?" in text_of(seen)


def test_a_box_is_scored_against_the_map(visit: Any) -> None:
    height, width = chelsea().shape[:2]
    link = {"lesson": "trust", "guess": f"0,0,{width},{height}"}
    seen = visit("lessons", model="cat_dog", sample="chelsea", **link).fine()
    model = model_file(ROOT / "models" / "cat_dog.keras")
    cam = workers.explain_stages(model, chelsea()).explanation.maps[0]
    steps = read_card(card_path(model.path)).preprocessing
    box = find_parts(cam, height, width, steps)[0].box
    share = (box.right - box.left) * (box.bottom - box.top) / (width * height)
    markup = " ".join(one.proto.body for one in seen.app.get("html"))
    assert f"<b>{100 * share:.0f}\N{NO-BREAK SPACE}%</b>" in markup


def test_the_surest_errors_are_the_cats_with_the_square(visit: Any) -> None:
    seen = visit("lessons", model="cat_dog", lesson="trust", step="4")
    guess(seen).fine()
    markup = " ".join(one.proto.body for one in seen.app.get("html"))
    captions = re.findall(r"<figcaption>((?:cat|dog), [^<]+)</figcaption>", markup)
    network = cnnviz.load_model(ROOT / "models" / "cat_dog_shortcut.keras", trusted=True)
    steps = network.card.preprocessing

    def said(of: Any) -> list[str]:
        """What it says of two cats, also mirrored, the surest first."""
        pictures = [
            network_view(open_photo(path), steps)
            for name, path in ((one.name, one.path) for one in samples())
            if name in {"chelsea", "kitten"}
        ]
        views = [of(one) for picture in pictures for one in (picture, picture[:, ::-1])]
        answers = [cnnviz.predict(network, NetworkView(view, steps)).top(1)[0] for view in views]
        answers.sort(key=lambda one: -one.probability)
        return [f"{one.label}, {percent(one.probability)}" for one in answers]

    assert captions == [escape(text) for text in (*said(marked), *said(lambda view: view))]
    assert [text[:3] for text in captions] == ["dog"] * 4 + ["cat"] * 4


def test_the_first_photo_of_the_filter_lesson_is_answered_by_hand(visit: Any) -> None:
    """The strongest place of the digit, its nine products added up."""
    seen = visit("lessons", model="mnist_cnn", sample="digit-1", lesson="filter", step="3")
    guess(seen)
    path = next(one.path for one in samples() if one.name == "digit-1")
    digit = open_photo(path)[..., 0].astype(int)
    right, left = digit[:, 2:], digit[:, :-2]
    change = right - left
    sums = change[:-2] + 2 * change[1:-1] + change[2:]
    strongest = sums.ravel()[np.abs(sums).argmax()]
    assert re.search(rf"add up to {strongest:,}\.".replace("-", "−"), text_of(seen))
    assert filters.sign_of(strongest) == ("Above zero" if strongest > 0 else "Below zero")


def test_the_plane_that_tells_most() -> None:
    photo = np.full((4, 4, 3), (100, 110, 90), np.uint8)
    photo[0] = (100, 110, 255)
    assert telling_plane(photo) == "blue"


def test_the_board_of_the_lesson_is_that_of_the_tests() -> None:
    assert pooling.GRID.tolist() == [[1, 3, 2, 9], [7, 4, 1, 5], [8, 5, 2, 3], [4, 2, 1, 4]]


def test_the_notes_for_teachers_are_those_of_the_page(visit: Any) -> None:
    written = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
    assert written == teaching_notes.text()
    seen = visit("lessons", model="mnist_cnn", lesson="pooling").choose("Teacher's notes", True)
    assert pooling.LESSON.notes.questions[0] in text_of(seen)
