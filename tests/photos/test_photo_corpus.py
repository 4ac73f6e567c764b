"""Every odd and bad photo of the corpus, against its expected outcome."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus.photos import CASES, Case, encode, table
from PIL import Image

from cnnviz.errors import PhotoError
from cnnviz.photos import decoding
from cnnviz.photos.decoding import open_photo

TABLE = Path(__file__).resolve().parents[2] / "docs" / "tables" / "photos.md"


def test_the_corpus_is_large_and_its_names_differ() -> None:
    assert sum(isinstance(case.expected, str) for case in CASES) >= 50
    assert len({case.name.lower() for case in CASES}) == len(CASES)
    assert len({case.what for case in CASES}) == len(CASES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_photo_of_the_corpus(case: Case) -> None:
    if isinstance(case.expected, str):
        with pytest.raises(PhotoError) as error:
            open_photo(case.make())
        assert error.value.code == case.expected
        return
    photo = open_photo(case.make())
    assert photo.dtype == np.uint8
    np.testing.assert_allclose(photo, case.expected, rtol=0, atol=case.tolerance)


@pytest.mark.filterwarnings("ignore")
def test_the_table_in_the_documentation_is_what_happens() -> None:
    assert table() in TABLE.read_text(encoding="utf-8"), (
        "run `python -m tests.corpus.photos --table > docs/tables/photos.md`"
    )


def test_too_little_memory_has_its_own_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", full)
    with pytest.raises(PhotoError, match="not enough memory") as error:
        open_photo(CASES[0].make())
    assert error.value.code == "memory"


def test_large_photos_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight threads one at a time decodes a large photo; small photos do not wait."""
    monkeypatch.setattr(decoding, "KEPT_PIXELS", 300)
    inside, most = [0], [0, 0]
    watch = threading.Lock()
    decode = decoding._upright_rgb

    def watched(image: Any) -> Image.Image:
        large = image.width * image.height > 300
        with watch:
            inside[0] += large
            most[0] = max(most[0], inside[0])
            most[1] += 1
        try:
            time.sleep(0.01)
            return decode(image)
        finally:
            with watch:
                inside[0] -= large

    monkeypatch.setattr(decoding, "_upright_rgb", watched)
    large, small = (encode(Image.new("RGB", (side, side)), "PNG") for side in (20, 10))
    threads = [threading.Thread(target=open_photo, args=(large,)) for _ in range(8)]
    with decoding._large_photo_lock:
        assert open_photo(small).shape == (10, 10, 3)
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        assert most == [0, 1]
    for thread in threads:
        thread.join()
    assert most == [1, 9]
