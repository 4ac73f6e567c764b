"""What the web process keeps of photos and answers."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.runtime.caching.global_cache_budget import get_global_cache_budget

from cnnviz.cards import Preprocessing
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.preprocessing import network_view
from cnnviz.ui import __main__ as start
from cnnviz.ui import ask
from cnnviz.ui.sidebar.photos import loaded_photo


@pytest.fixture(autouse=True)
def _empty_caches() -> Iterator[None]:
    st.cache_data.clear()
    st.cache_resource.clear()
    yield
    st.cache_data.clear()


def photo_file(seed: int, width: int = 400, height: int = 300) -> bytes:
    """A JPEG that was taken with the camera on its side."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_the_pixels_of_the_last_few_photos_alone_are_kept() -> None:
    photos = [
        loaded_photo(photo_file(seed), f"{seed}.jpg", "Your photo", str(seed)) for seed in range(9)
    ]
    assert [photo.size for photo in photos] == [(400, 300)] * 9
    # `isinstance` would ask a weak proxy whose object is gone.
    kept = [one for one in gc.get_objects() if issubclass(type(one), Image.Image)]
    assert sum(image.size == (300, 400) for image in kept) == 4


@pytest.mark.parametrize("interpolation", ["bilinear", "lanczos"])
def test_a_network_sees_a_photo_the_same_when_it_is_decoded_again(interpolation: str) -> None:
    steps = Preprocessing(
        width=24, height=20, channels=3, scaling="unit", interpolation=interpolation, fit="crop"
    )
    file = photo_file(0)
    photo = loaded_photo(file, "0.jpg", "Your photo", "0")
    assert photo.file is file
    for seed in range(1, 6):
        loaded_photo(photo_file(seed), "other.jpg", "Your photo", str(seed))
    seen = ask.view(photo, steps)
    np.testing.assert_array_equal(seen.pixels, network_view(open_photo(file), steps))
    np.testing.assert_array_equal(np.asarray(photo.decode()), open_photo(file))


def test_all_cached_answers_together_stay_within_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CNNVIZ_CACHE_MB", "1")
    assert start.cache_limit() == ["--server.maxCacheDataSize", "1MB"]
    budget = get_global_cache_budget()
    photo = loaded_photo(photo_file(0), "0.jpg", "Your photo", "0")
    budget.reconfigure(1 << 20)
    try:
        for width in range(100, 120):
            steps = Preprocessing(width=width, height=300, channels=3, scaling="unit", fit="crop")
            ask.view(photo, steps)
        # Each has at least 90 kB: all twenty would not fit.
        assert 0.8 * (1 << 20) < budget.total_bytes <= 1 << 20
    finally:
        budget.reconfigure(None)
