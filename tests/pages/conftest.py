"""Visits to the app's pages without a browser: their texts, and the data of their figures."""

from __future__ import annotations

import base64
import gc
import html
import json
import math
import re
import shutil
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from helpers import wait_until
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from cnnviz.cards import write_card
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.encoding import encode_png
from cnnviz.serving import background_conversion, worker_pools
from cnnviz.settings import ROOT

# A shipped network takes seconds to load and to compile.
_SECONDS = 120
_TEXTS = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")


class _RunningServer(PagesManager):
    """The state of a server that has run ``app.py`` before.

    `AppTest` starts every run with a new server, which takes its pages from the folder ``pages``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        PagesManager.uses_pages_directory = False


class Visit:
    """One person's visit: the app as `AppTest` runs it, read as a person reads it.

    Its link, a page and choices, is the first request to a new server.
    """

    def __init__(self, page: str = "explore", **link: str | list[str]) -> None:
        self.app = AppTest.from_file(ROOT / "app.py", default_timeout=_SECONDS)
        self.app.query_params.update(link)
        if page != "explore":
            self.app.switch_page(f"pages/{page}.py")
        # Streamlit collects garbage after each run of a page: without TensorFlow's objects, and
        # those of other tests, that takes no time.
        gc.collect()
        gc.freeze()
        with _no_keras():
            self.app.run()

    def run(self, widget: Any = None) -> Visit:
        """Runs the app again, after a change of a widget or as it is."""
        with _no_keras() as patch:
            patch.setattr(app_test, "PagesManager", _RunningServer)
            (self.app if widget is None else widget).run()
        return self

    def answered(self) -> Visit:
        """Runs the app again until none of its long questions is open."""

        def is_answered() -> bool:
            app = self.run().app
            # A run that finds an answer ends there, and another one follows.
            ended = "About this network" in [one.label for one in app.expander]
            return bool(app.error) or (ended and not app.get("progress"))

        assert wait_until(is_answered)
        return self

    def turn_to(self, page: str, **link: str | list[str]) -> Visit:
        """Changes the page, as a link does that may name choices; the address starts empty."""
        self.app.switch_page(f"pages/{page}.py")
        self.app.query_params.clear()
        self.app.query_params.update(link)
        return self.run()

    def choose(self, label: str, option: Any) -> Visit:
        """Chooses in the select box or the chips, or switches the toggle, of that label."""
        return self.run(self.widget(label).set_value(option))

    def choose_class(self, label: str) -> Visit:
        """Chooses a class by its chip or, if it has none, in the list of the others."""
        chips = self.widget("Class")
        if any(option.startswith(f"**{label}**") for option in chips.options):
            return self.run(chips.set_value(label))
        return self.choose("Another class", label)

    def chosen(self, label: str) -> Any:
        """The value of the select box, or the chips, of that label."""
        return self.widget(label).value

    def upload(self, name: str, data: bytes) -> Visit:
        """Gives the uploader a file, as a person who drops one on it."""
        return self.run(self._uploader("Your photo").set_value((name, data, "image/png")))

    def take_away(self) -> Visit:
        """Takes the uploaded file away again."""
        return self.run(self._uploader("Your photo").set_value(None))

    def give_model(self, name: str, data: bytes) -> Visit:
        """Uploads a model."""
        uploader = self._uploader("A saved Keras model")
        return self.run(uploader.set_value((name, data, "application/octet-stream")))

    def pick_preset(self, name: str) -> Visit:
        """Chooses in the banner which values the network takes."""
        self.widget("Values of the pixels").set_value(name)
        return self.run(self.widget("Use these").click())

    def _uploader(self, label: str) -> Any:
        (uploader,) = [one for one in self.app.file_uploader if one.label == label]
        return uploader

    def widget(self, label: str) -> Any:
        kinds = ("selectbox", "multiselect", "select_slider", "button_group", "toggle", "button")
        widgets = [one for kind in kinds for one in self.app.get(kind) if one.label == label]
        assert len(widgets) == 1, f"{len(widgets)} widgets are called {label!r}"
        return widgets[0]

    @property
    def raw(self) -> str:
        """All texts of the page and its sidebar, as Markdown."""
        texts = [one.value for kind in _TEXTS for one in self.app.get(kind)]
        texts += [one.value for one in self.app.toast]
        # The leads, in which terms are marked.
        bodies = [one.proto.body for one in self.app.get("html")]
        texts += [re.sub("<[^>]+>", "", body) for body in bodies if "<style>" not in body]
        texts += [f"{one.label}: {one.value}" for one in self.app.metric]
        return "\n".join(texts)

    @property
    def text(self) -> str:
        """All texts of the page and its sidebar, as a person reads them."""
        return re.sub(r":small\[\]|\\([^a-zA-Z0-9\s])", r"\1", self.raw)

    def figure(self, key: str) -> dict[str, Any]:
        """The figure of a chart, by the end of its key, as the browser gets it."""
        charts = [one for one in self.app.get("plotly_chart") if one.key == f"chart:{key}"]
        assert len(charts) == 1, f"{[one.key for one in self.app.get('plotly_chart')]}: no {key!r}"
        return json.loads(charts[0].proto.spec)

    def title(self, key: str) -> str:
        """The title of a figure, as a person reads it."""
        text = self.figure(key)["layout"]["title"]["text"]
        return html.unescape(text.replace("<br>", " "))

    def values(self, key: str) -> np.ndarray:
        """The raw values of a figure's heatmap."""
        maps = [trace for trace in self.figure(key)["data"] if trace["type"] == "heatmap"]
        assert len(maps) == 1
        return numbers(maps[0]["z"])

    @property
    def table(self) -> list[list[str]]:
        """The texts of the rows of the page's HTML table."""
        (body,) = [one.proto.body for one in self.app.get("html") if "<table" in one.proto.body]
        rows = re.findall(r"<tr.*?</tr>", body)
        cells = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in rows]
        return [[html.unescape(re.sub("<.*?>", "", cell)) for cell in row] for row in cells]

    def viewer(self, key: str) -> dict[str, Any]:
        """What the viewer of that key was sent."""
        (sent,) = [one for one in self.app.get("bidi_component") if one.key == key]
        return unpacked(sent.proto.bytes)

    @property
    def walk(self) -> dict[str, Any]:
        """What the walk of the first page was sent."""
        return self.viewer("walk")

    @property
    def answer(self) -> str:
        """The walk's most probable class."""
        return self.walk["classes"][0]["label"]

    def tiles(self, key: str) -> dict[str, Any]:
        """The tiles of a grid; their values are (K, h, w)."""
        ((tiles,),) = [region["items"] for region in self.viewer(key)["regions"]]
        return tiles

    def outlined(self, key: str) -> int:
        """The tile that is outlined in a grid."""
        return int(self.viewer(f"selection of {key}")["index"])

    @property
    def painted(self) -> list[str | bytes]:
        """All figures and viewers, as the browser gets them."""
        charts = [chart.proto.spec for chart in self.app.get("plotly_chart")]
        return charts + [one.proto.bytes for one in self.app.get("bidi_component")]

    @property
    def pictures(self) -> list[np.ndarray]:
        """The pixels of the pictures that are no charts, each a data URI.

        A picture that the server serves is deleted when the page runs again meanwhile.
        """
        urls = [one.url for pictures in self.app.get("image") for one in pictures.proto.imgs]
        return [open_photo(base64.b64decode(url.partition(";base64,")[2])) for url in urls]

    def fine(self) -> Visit:
        """Asserts that the page ended without an error."""
        assert [one.message for one in self.app.exception] == []
        assert [one.value for one in self.app.error] == []
        assert "About this network" in [one.label for one in self.app.expander]
        return self


@contextmanager
def _no_keras() -> Iterator[pytest.MonkeyPatch]:
    """While the app runs, this process has no Keras: an import of it is an error.

    The app must not import Keras; and if Keras is imported, Streamlit clears its session.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("keras", "tensorflow", "h5py"):
            patch.setitem(sys.modules, name, None)
        # The workers do have it.
        patch.setattr(worker_pools, "check_tensorflow", lambda: None)
        yield patch


def numbers(packed: Any) -> np.ndarray:
    """An array as Plotly packs it for the browser."""
    if not isinstance(packed, dict):
        return np.asarray(packed, float)
    values = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"])
    shape = packed.get("shape")
    return values.reshape([int(size) for size in shape.split(",")]) if shape else values


@pytest.fixture(scope="module", autouse=True)
def converted(converted_models: Path) -> Iterator[None]:
    """The workers of all these tests have the shipped models converted, and keep all networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_NETWORKS", "12")
        yield
    # What was frozen for visits may be garbage now.
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_conversions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of a test's own folder are not converted beside the tests that follow."""
    monkeypatch.setattr(background_conversion, "convert", lambda model: None)


def unpacked(buffer: bytes) -> dict[str, Any]:
    """A viewer's buffer: its header, with the arrays in place of their numbers."""
    (length,) = struct.unpack_from("<I", buffer)
    header, start, arrays = json.loads(buffer[4 : 4 + length]), 4 + length, []
    for one in header.pop("arrays"):
        count = math.prod(one["shape"])
        stored = np.frombuffer(buffer, one["dtype"], count, start)
        start += -(-stored.nbytes // 4) * 4
        values = stored if one["dtype"] == "uint8" else stored.astype(np.float64) * one["scale"]
        arrays.append(values.reshape(one["shape"]))
    assert start == len(buffer)

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"array"}:
                return arrays[value["array"]]
            return {name: filled(one) for name, one in value.items()}
        return [filled(one) for one in value] if isinstance(value, list) else value

    return filled(header)


@pytest.fixture(scope="session")
def save() -> Callable[[Any, Path], None]:
    """Saves a Keras model."""

    def save(model: Any, path: Path) -> None:
        with warnings.catch_warnings():
            # Keras saves with a call that NumPy 2 deprecates.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            model.save(path)

    return save


@pytest.fixture(scope="session")
def saved(
    tiny: Callable[[str], Any],
    save: Callable[[Any, Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """The file of one of the tiny networks, without its card; saved once in a session."""
    folder = tmp_path_factory.mktemp("saved")
    return _written_once(folder, ".keras", lambda name, path: save(tiny(name).model, path))


@pytest.fixture(scope="session")
def saved_card(
    tiny: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The file of a tiny network's card; written once in a session."""
    folder = tmp_path_factory.mktemp("cards")
    return _written_once(folder, ".json", lambda name, path: write_card(tiny(name).card, path))


def _written_once(
    folder: Path, ending: str, write: Callable[[str, Path], None]
) -> Callable[[str], Path]:
    """Finds the file of a name in a folder; it is written when it is first asked for."""

    def find(name: str) -> Path:
        path = folder / f"{name}{ending}"
        if not path.exists():
            write(name, path)
        return path

    return find


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `models` makes its folder."""
    return tmp_path_factory.mktemp("pages") / "models"


@pytest.fixture
def models(
    saved: Callable[[str], Path],
    saved_card: Callable[[str], Path],
    tiny: Callable[[str], Any],
    models_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Path]:
    """Fills the empty folder of models with tiny networks; with `card`, a changed one each.

    A network has the same path and the same times in each test, so that workers load it once.
    """
    folder = models_folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def fill(*names: str, card: dict[str, Any] | None = None) -> Path:
        for name in names:
            shutil.copy2(saved(name), folder)
            if card is None:
                shutil.copy2(saved_card(name), folder)
            else:
                changed = tiny(name).card.model_copy(update=card)
                write_card(changed, folder / f"{name}.json")
        monkeypatch.setenv("CNNVIZ_MODELS", str(folder))
        # Otherwise each has a process of its own, which takes seconds to start.
        monkeypatch.setenv("CNNVIZ_TRUST", "on")
        return folder

    return fill


@pytest.fixture
def visit() -> type[Visit]:
    """Starts visits to an app whose caches are empty."""
    st.cache_data.clear()
    return Visit


@pytest.fixture
def picture() -> bytes:
    """A photo's file that no sample is."""
    return encode_png(np.random.default_rng(11).integers(0, 256, (30, 50, 3), dtype=np.uint8))
