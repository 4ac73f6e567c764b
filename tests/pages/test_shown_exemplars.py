"""What excites a channel, and what is taken for a class, on the pages; and the game."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Visit

import cnnviz
from cnnviz.features import kept_galleries
from cnnviz.features.galleries import class_picture, make_gallery
from cnnviz.photos.sources import DIGITS, digit_photos
from cnnviz.results import (
    Box,
    ChannelExemplars,
    ClassExemplar,
    ClassExemplars,
    ClassGallery,
    Exemplar,
    Exemplars,
)
from cnnviz.settings import ROOT
from cnnviz.shipped_models import fingerprint_of
from cnnviz.ui.components import picture_tiles

MODEL = ROOT / "models" / "mnist_cnn.keras"


def exemplars(visit: Visit) -> str:
    bodies = [one.proto.body for one in visit.app.get("html")]
    return "".join(body for body in bodies if 'class="exemplars"' in body)


@dataclass
class Tiles:
    """What is drawn as tiles of pictures, and the next pick of one of them."""

    drawn: Any = None
    pick: int | None = None

    def show(self, drawn: Any, key: str, on_pick: Any) -> None:
        self.drawn = drawn
        if self.pick is not None:
            index, self.pick = self.pick, None
            on_pick(picture_tiles.picked({"id": drawn.id, "index": index}, drawn))


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> Tiles:
    tiles = Tiles()
    monkeypatch.setattr(picture_tiles, "show", tiles.show)
    return tiles


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for galleries alone."""
    monkeypatch.setattr(kept_galleries, "cache_folder", lambda: tmp_path)
    return tmp_path


def test_the_digits_that_excite_a_filter(cache: Path) -> None:
    visit = Visit("filters", model="mnist_cnn").fine()
    assert not exemplars(visit)
    visit.choose("Look among the 500 handwritten digits", True).answered().fine()
    assert exemplars(visit).count("<li>") == 9
    assert "These excite it most" in visit.text
    assert "The parts of 500 handwritten digits" in visit.text

    source = digit_photos(1000)
    name = source.names[0]
    one = Exemplar(name, 4.25, 1.0, Box(0, 0, 5, 5), None)
    other = Exemplar(name, 0.5, 0.0, None, None)
    layer = visit.text.partition("excite channel 0 of ")[2].partition(" ")[0]
    found = Exemplars(layer, 5, (ChannelExemplars(0, (one,), (other,)),))
    path = kept_galleries.keep(MODEL, fingerprint_of(MODEL), make_gallery(source, found))
    assert path.parent == cache
    assert "The parts of 5 handwritten digits" in visit.run().fine().text
    assert "<b>4.25</b>" in exemplars(visit)
    assert "<b>0.5</b>" in exemplars(visit.choose("Which photos", "least").fine())
    assert "These excite it least" in visit.text
    # Beside the picture that is made for it, too.
    visit.turn_to("maximise", excite="channel", layer=layer).fine()
    # The choice goes along to the next page that has it.
    assert "<b>0.5</b>" in exemplars(visit)
    assert "<b>4.25</b>" in exemplars(visit.choose("Which photos", "most").fine())
    path.write_bytes(b"damaged")
    assert "is damaged" in visit.turn_to("filters").fine().text


def test_what_was_kept_is_not_for_who_uploads_a_copy(cache: Path) -> None:
    source = digit_photos(1000)
    one = Exemplar(source.names[0], 4.25, 1.0, Box(0, 0, 5, 5), None)
    for layer in ("conv1", "relu1", "conv2", "relu2"):
        found = Exemplars(layer, 5, (ChannelExemplars(0, (one,), (one,)),))
        kept_galleries.keep(MODEL, fingerprint_of(MODEL), make_gallery(source, found))
    visit = Visit("filters", model="mnist_cnn").fine()
    layer = visit.chosen("Layer")
    assert "has the same activation in each of 5 handwritten digits" in visit.text
    visit.give_model("mnist_cnn.keras", MODEL.read_bytes()).fine()
    assert visit.chosen("Layer") == layer
    assert "5 handwritten digits" not in visit.text


def test_the_digits_that_are_taken_for_a_class(cache: Path, tiles: Tiles) -> None:
    visit = Visit("class_activation_map", model="mnist_cnn", sample="digit-4")
    visit.fine().choose("Look among the 500 handwritten digits", True).answered().fine()
    drawn = tiles.drawn
    network = cnnviz.load_model(MODEL, trusted=True)
    source = digit_photos(10)
    pixels = np.stack([np.asarray(source.open(name)) for name in source.names])
    said = [cnnviz.predict(network, one) for one in pixels]
    fours = [at for at, one in enumerate(said) if one.label == "4"]
    assert f"It takes {len(fours)} of 500 handwritten digits for “4”" in visit.text
    assert drawn.groups[0].heading == "Surest"
    names = [tile.label for tile in drawn.groups[0].tiles]
    logits = [said[at].logits for at in fours]
    odds = [one[4] - np.logaddexp.reduce(np.delete(one.astype(float), 4)) for one in logits]
    assert names[0] == source.names[fours[int(np.argmax(odds))]]
    assert all(len(tile.sources) == 2 for tile in drawn.groups[0].tiles)
    wrong = [at for at in fours if source.classes[at] != "4"]
    assert [group.heading for group in drawn.groups[2:]] == ["Surest, but wrong"] * bool(wrong)
    # A click makes it the photo of all pages.
    tiles.pick = 1
    assert f"{names[1]} is the photo of all pages now." in visit.run().fine().text
    number = names[1].rpartition("/")[2]
    assert f"{number}  \nFrom handwritten digits" in visit.run().fine().text
    # A picture of few pixels is enlarged.
    shown = visit.pictures[0][::14, ::14]
    np.testing.assert_array_equal(shown, cnnviz.open_photo(DIGITS.parent / names[1]))

    one = ClassExemplar("mine/7.png", 0.75, "7", 1.5)
    photo = source.open(source.names[0])
    steps = network.card.preprocessing
    kept = ClassGallery(
        "3 photos in mine",
        True,
        (ClassExemplars("4", 1, (one,), (one,), (one,)),),
        (class_picture("4", "mine/7.png", photo, None, steps),),
    )
    kept_galleries.keep_classes(MODEL, fingerprint_of(MODEL), kept)
    visit.run().fine()
    assert not tiles.drawn.opens
    assert [group.heading for group in tiles.drawn.groups] == ["Surest", "Surest, but wrong"]
    (tile,) = tiles.drawn.groups[1].tiles
    assert (tile.title, tile.note) == ("75.0 %", "is 7")
    assert "so they cannot be opened" in visit.text


def test_a_game_is_played_and_repeated_by_its_link(tiles: Tiles) -> None:
    link = {"model": "mnist_cnn", "excite": "game", "layer": "conv2", "seed": "4"}

    def photos() -> list[str]:
        assert tiles.drawn.opens
        return [tile.sources[0] for tile in tiles.drawn.groups[0].tiles]

    visit = Visit("maximise", **link).answered().fine()
    network = cnnviz.load_model(MODEL, trusted=True)
    first = photos()
    right = 0
    for at in range(5):
        assert f"Round {at + 1} of 5 · **{right}** right so far" in visit.text
        assert "right once in 9 rounds" in visit.text
        channel = int(re.search(r"Channel (\d+) of conv2", visit.text)[1])
        # Before the answer nothing tells them apart.
        assert {(tile.mark, tile.note) for tile in tiles.drawn.groups[0].tiles} == {("", "")}
        guess = tiles.pick = at % 9
        visit.run().run().fine()
        assert not tiles.drawn.opens
        shown = tiles.drawn.groups[0].tiles
        measured = [
            float(cnnviz.activations(network, photo, ["conv2"])["conv2"][..., channel].max())
            for photo in (cnnviz.open_photo(DIGITS.parent / tile.label) for tile in shown)
        ]
        for tile, value in zip(shown, measured, strict=True):
            assert float(tile.title.replace("−", "-")) == pytest.approx(value, rel=6e-3, abs=1e-4)
        best = int(np.argmax(measured))
        assert [tile.mark == "right" for tile in shown] == [rank == best for rank in range(9)]
        second, largest = sorted(measured)[-2:]
        assert largest > second
        right += guess == best
        said = "That is right." if guess == best else f"It is photo {best + 1}."
        assert any(said in one.value for one in (*visit.app.success, *visit.app.info))
        visit.run(visit.widget("Your score" if at == 4 else "Next round").click()).fine()
    assert f"{right} of 5" in visit.text
    # The score is nowhere else; the link begins anew, with the same photos.
    again = Visit("maximise", **link).answered().fine()
    assert "Round 1 of 5 · **0** right so far" in again.text
    assert photos() == first


def test_what_the_browser_reports_of_a_pick_is_checked() -> None:
    tile = picture_tiles.Tile(("data:",), "1", "", "one")
    groups = [picture_tiles.Group("a", (tile,)), picture_tiles.Group("b", (tile, tile))]
    shown = picture_tiles.PictureTiles("id", groups, 3, opens=True)
    assert picture_tiles.picked({"id": "id", "index": 2}, shown) == 2
    for payload in (
        None,
        {"id": "id", "index": 3},
        {"id": "id", "index": -1},
        {"id": "id", "index": True},
        {"id": "other", "index": 0},
        {"id": "id"},
    ):
        assert picture_tiles.picked(payload, shown) is None
    closed = picture_tiles.PictureTiles("id", groups, 3, opens=False)
    assert picture_tiles.picked({"id": "id", "index": 2}, closed) is None
