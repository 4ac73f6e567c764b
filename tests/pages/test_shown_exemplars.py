"""What excites a channel, on the pages: from the digits when asked, and from what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Visit

from cnnviz.features import kept_galleries
from cnnviz.features.galleries import make_gallery
from cnnviz.photos.sources import digit_photos
from cnnviz.results import Box, ChannelExemplars, Exemplar, Exemplars
from cnnviz.settings import ROOT
from cnnviz.shipped_models import fingerprint_of

MODEL = ROOT / "models" / "mnist_cnn.keras"


def exemplars(visit: Visit) -> str:
    bodies = [one.proto.body for one in visit.app.get("html")]
    return "".join(body for body in bodies if 'class="exemplars"' in body)


def test_the_digits_that_excite_a_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Visit("filters", model="mnist_cnn").fine()
    assert not exemplars(visit)
    visit.choose("Look among the 500 handwritten digits", True).fine()
    assert exemplars(visit).count("<li>") == 9
    assert "chosen from 500 handwritten digits" in visit.text

    monkeypatch.setattr(kept_galleries, "cache_folder", lambda: tmp_path)
    source = digit_photos(1000)
    name = source.names[0]
    one = Exemplar(name, 4.25, 1.0, Box(0, 0, 5, 5), None)
    other = Exemplar(name, 0.5, 0.0, None, None)
    layer = visit.text.partition("excite channel 0 of ")[2].partition(" ")[0]
    found = Exemplars(layer, 5, (ChannelExemplars(0, (one,), (other,)),))
    path = kept_galleries.keep(MODEL, fingerprint_of(MODEL), make_gallery(source, found))
    assert path.parent == tmp_path
    assert "chosen from 5 handwritten digits" in visit.run().fine().text
    assert "<b>4.25</b>" in exemplars(visit)
    assert "<b>0.5</b>" in exemplars(visit.choose("Which photos", "least").fine())
    path.write_bytes(b"damaged")
    assert "is damaged" in visit.run().fine().text
