"""Figures: what is drawn where, checked against slower or different computations."""

from __future__ import annotations

import base64
import html
import io
import json
import math
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from cnnviz.cards import Preprocessing
from cnnviz.colours import table
from cnnviz.drawing import SIGNED, in_grey, overlay
from cnnviz.figures import frame
from cnnviz.figures.bars import confidence_bars
from cnnviz.figures.curves import batch_curve, learning_curve
from cnnviz.figures.deletion import step_curves
from cnnviz.figures.frame import BAR_SPACE, CHART_CONFIG, css_height, css_pictures
from cnnviz.figures.maps import evidence_maps, heatmap
from cnnviz.figures.photos import map_overlay, photo_figure, picture
from cnnviz.figures.shading import magnify
from cnnviz.photos.preprocessing import network_view
from cnnviz.results import ClassActivationMap


@pytest.fixture(autouse=True)
def _validated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has Plotly check every figure of this file; the app does not do that."""

    def figure(drawing: frame.Drawing) -> go.Figure:
        return go.Figure(drawing.data, drawing.layout)

    monkeypatch.setattr(frame.Drawing, "figure", figure)


CROP = Preprocessing(height=56, width=56, fit="crop", crop_fraction=0.875)
STRETCH = Preprocessing(height=56, width=48)
PAD = Preprocessing(height=48, width=48, fit="pad")

NASTY = "<b>bold</b> & <a href='https://x.y'>100 %{x} &amp;</a>"


def some_maps(height: int, width: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(height, width, count)).astype(np.float32)


def some_photo(height: int, width: int) -> np.ndarray:
    """Smooth, so that a JPEG of it is close."""
    y, x = np.mgrid[:height, :width]
    return np.dstack(
        [x * 200 // width, y * 200 // height, (x + y) * 90 // (height + width)]
    ).astype(np.uint8)


def a_cam(values: Any, target: str = "cat", **fields: Any) -> ClassActivationMap:
    values = np.asarray(values, np.float32)
    return ClassActivationMap(values, "cam", "conv", target, **{"score": 1.0, "bias": 0.0} | fields)


def pixels_of(source: str) -> np.ndarray:
    """The pixels of a data address, RGBA."""
    data = base64.b64decode(source.split(",", 1)[1])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def marks_with_scale(figure: go.Figure) -> Any:
    """The marks that carry the colour scale and its bar."""
    return next(t.marker for t in of_type(figure, "scatter") if t.marker.colorbar.ticktext)


def of_type(figure: go.Figure, kind: str) -> list[Any]:
    return [trace for trace in figure.data if trace.type == kind]


# --- Every figure ---------------------------------------------------------------------------

ODD = np.array([[np.nan, np.inf], [-np.inf, 1.0]], np.float32)
ODD.setflags(write=False)
FIGURES: dict[str, Callable[[str], go.Figure]] = {
    "heatmap": lambda title: heatmap(
        some_maps(3, 4, 1)[..., 0],
        title=title,
        unit=title,
        colours="viridis",
        hover=title,
    ),
    "heatmap of a constant": lambda title: heatmap(
        np.full((1, 1), -3.0), title=title, unit="u", colours="viridis"
    ),
    "heatmap with holes": lambda title: heatmap(
        ODD, title=title, unit="u", colours="balance", centred=True
    ),
    "overlay": lambda title: map_overlay(
        some_photo(60, 90), a_cam(some_maps(7, 7, 1)[..., 0], title), CROP, title=title, unit=title
    ),
    "overlay without evidence": lambda title: map_overlay(
        some_photo(200, 150), a_cam([[-1.0]]), PAD, title=title, unit="u"
    ),
    "overlay with holes": lambda title: map_overlay(
        some_photo(28, 28), a_cam(ODD), STRETCH, title=title, unit="u", signed=True
    ),
    "photo": lambda title: photo_figure(some_photo(300, 200), title=title),
    "evidence": lambda title: evidence_maps(
        some_photo(60, 90),
        [a_cam(some_maps(7, 7, 1, seed)[..., 0], title) for seed in range(5)],
        CROP,
        title=title,
        unit=title,
    ),
    "evidence of nothing": lambda title: evidence_maps(
        some_photo(28, 28),
        [a_cam(np.zeros((1, 1)), title), a_cam(ODD)],
        STRETCH,
        title=title,
        unit="u",
    ),
    "bars": lambda title: confidence_bars(
        [(title, 0.9), ("dog", math.nan)], highlight="dog", title=title
    ),
}


def texts(part: Any, path: str = "") -> list[tuple[str, str]]:
    """Every text in a figure that Plotly renders, with its path."""
    if isinstance(part, dict):
        return [item for key, value in part.items() for item in texts(value, f"{path}/{key}")]
    if isinstance(part, list | tuple):
        return [item for value in part for item in texts(value, path)]
    shown = path.endswith(("/text", "/hovertext", "/hovertemplate", "/name", "/ticktext"))
    return [(path, part)] if isinstance(part, str) and shown else []


@pytest.fixture(params=FIGURES)
def make(request: pytest.FixtureRequest) -> Callable[[str], go.Figure]:
    return FIGURES[request.param]


def test_numbers_are_numbers(make: Callable[[str], go.Figure]) -> None:
    data = json.loads(make("A title").to_json(), parse_constant=pytest.fail)
    scales = [data["layout"].get("coloraxis", {})]
    scales += [part for trace in data["data"] for part in (trace, trace.get("marker", {}))]
    for scale in scales:
        for low, high in (("zmin", "zmax"), ("cmin", "cmax")):
            if low in scale:
                assert scale[low] < scale[high]


def test_text_is_escaped(make: Callable[[str], go.Figure]) -> None:
    figure = make(NASTY).to_dict()
    figure["layout"].pop("template")
    rendered = texts(figure)
    assert any("bold" in text for _, text in rendered)
    for path, text in rendered:
        if path.endswith("/hovertemplate"):
            text = re.sub(r"%\{(z:\.4~g|[xy]|customdata\[[01]\])\}|<extra></extra>", "", text)
        text = text.replace("<br>", "")
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;|#37;)|%\{", text), (path, text)
    title = figure["layout"]["title"]["text"]
    assert html.unescape(title.replace("<br>", " ")) == NASTY


def test_the_theme_chooses_the_colours_of_text_and_background(
    make: Callable[[str], go.Figure],
) -> None:
    figure = make("A title").to_dict()
    figure["layout"].pop("template")
    fonts = re.findall(r'"[a-z]*font": (\{[^{}]*\})', json.dumps(figure, default=str))
    assert fonts
    for font in map(json.loads, fonts):
        # The names in a grid have a grey of their own, that a selection does not dim.
        assert font.get("color") in {None, "#7d8793"}
        assert font.get("size", 13) >= 13
    # Between cells there is a grey that both backgrounds shine through.
    assert figure["layout"]["plot_bgcolor"] in {"rgba(0,0,0,0)", frame.FAINT}
    assert "paper_bgcolor" not in figure["layout"]


def test_no_colour_is_one_that_streamlit_replaces(make: Callable[[str], go.Figure]) -> None:
    figure = make("A title").to_dict()
    figure["layout"].pop("template")
    assert not re.search(r"#0000\d\d", json.dumps(figure, default=str))


def test_what_is_sent_is_what_plotly_would_send(
    make: Callable[[str], go.Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawings: list[frame.Drawing] = []
    checked = frame.Drawing.figure
    monkeypatch.setattr(
        frame.Drawing, "figure", lambda drawing: drawings.append(drawing) or checked(drawing)
    )
    figure = make("A title")
    sent = frame.PlainFigure(drawings[0].data, drawings[0].layout)
    assert css_height(sent) == css_height(figure)
    actual, expected = (json.loads(one.to_json(), object_hook=numbers) for one in (sent, figure))
    assert actual == expected


def numbers(part: dict[str, Any]) -> Any:
    """An array that travels as its bytes, as (nested) lists of numbers; NaN as text."""
    if "bdata" not in part:
        return part
    array = np.frombuffer(base64.b64decode(part["bdata"]), part["dtype"])
    if "shape" in part:
        array = array.reshape([int(size) for size in part["shape"].split(",")])
    return json.loads(json.dumps(array.tolist()), parse_constant=str)


def test_pictures_are_css_at_the_place_of_plotlys() -> None:
    # 480 pixels wide at most, so 120 high; below the margin of the title, and of the colour bar.
    shown = picture(some_photo(300, 1200))
    (box,) = css_pictures(photo_figure(shown, title="A photo"))
    assert box == (
        "margin: 34px 0 0 2px; aspect-ratio: 4.000000; width: min(100% - 4px, 480.00px); "
        f"opacity: 1; background: url('{shown.source}') 0 0 / 100% 100%"
    )
    cam = a_cam(some_maps(7, 7, 1)[..., 0])
    below, above = css_pictures(map_overlay(shown, cam, CROP, title="A map", unit="u"))
    place = box.replace("34px", f"{34 + BAR_SPACE}px").split("opacity")[0]
    for css in (below, above):
        assert css.startswith(place + "opacity: 1")
        assert "; background: url('data:image/jpeg;base64," in css
    assert below != above


@pytest.mark.parametrize("size", [(28, 20), (300, 1200)])
def test_an_encoded_picture_can_replace_its_photo(size: tuple[int, int]) -> None:
    photo = some_photo(*size)
    values = some_maps(7, 7, 1)[..., 0]
    for draw in (
        lambda shown: photo_figure(shown, title="A photo"),
        lambda shown: map_overlay(shown, a_cam(values), CROP, title="A map", unit="u"),
    ):
        assert draw(picture(photo)).to_json() == draw(photo).to_json()


def test_css_height_follows_the_width(make: Callable[[str], go.Figure]) -> None:
    figure = make("A title")
    css = css_height(figure)
    at_most = f"{figure.layout.height}px"
    if figure.layout.xaxis.constrain != "domain":
        assert css == at_most
        return
    fixed, share = re.fullmatch(rf"min\({at_most}, (\d+)px \+ ([\d.]+)cqw\)", css).groups()
    height = float(fixed) + 3 * float(share)  # in a container of 300 pixels
    # The axes of the first picture, as Plotly would arrange them in that height.
    margin, xaxis, yaxis = figure.layout.margin, figure.layout.xaxis, figure.layout.yaxis
    shares = [np.ptp(axis.domain or (0, 1)) for axis in (xaxis, yaxis)]
    space = (300 - margin.l - margin.r) * shares[0], (height - margin.t - margin.b) * shares[1]
    expected = space[0] * abs(np.ptp(yaxis.range)) / abs(np.ptp(xaxis.range))
    if len(of_type(figure, "heatmap")) <= 4:
        assert space[1] == pytest.approx(expected, abs=1)
    else:
        # In two rows the space of the first holds the labels of the second too.
        assert space[1] + 30 >= expected


# --- heatmap --------------------------------------------------------------------------------


def test_a_heatmap_holds_the_raw_values_row_by_row_downwards() -> None:
    values = some_maps(4, 6, 1)[..., 0]
    figure = heatmap(values, title="t", unit="u", colours="viridis", hover="weight")
    trace = of_type(figure, "heatmap")[0]
    assert trace.z.dtype == np.float32
    np.testing.assert_array_equal(trace.z, values)
    assert figure.layout.xaxis.range == (-0.5, 5.5)
    assert figure.layout.yaxis.range == (3.5, -0.5)
    assert figure.layout.yaxis.scaleanchor == "x"
    assert trace.hovertemplate == "weight %{z:.4~g}<br>row %{y}, column %{x}<extra></extra>"
    assert (trace.zmin, trace.zmax) == (values.min(), values.max())


def test_a_centred_heatmap_has_zero_in_the_middle() -> None:
    values = np.array([[-1.0, 4.0]])
    for centred, limits in ((True, (-4, 4)), (False, (-1, 4))):
        trace = of_type(
            heatmap(values, title="t", unit="u", colours="balance", centred=centred),
            "heatmap",
        )[0]
        assert (trace.zmin, trace.zmax) == limits


@pytest.mark.parametrize(("side", "printed"), [(3, True), (7, True), (8, False)])
def test_small_heatmaps_print_their_values(side: int, printed: bool) -> None:
    figure = heatmap(np.eye(side), title="t", unit="u", colours="viridis")
    assert (of_type(figure, "heatmap")[0].texttemplate is not None) == printed


def test_the_bar_s_colours_are_those_of_the_table() -> None:
    scale = of_type(heatmap(np.eye(9), title="t", unit="u", colours="inferno"), "heatmap")
    for share, colour in scale[0].colorscale:
        rgb = [int(part) for part in re.findall(r"\d+", colour)]
        assert rgb == table("inferno")[round(share * 255)].tolist()


@pytest.mark.parametrize("width", [180, 250, 480, 1000])
def test_the_last_number_of_a_colour_bar_fits_into_a_column_of_any_width(width: int) -> None:
    """In pixels: the bar, which ends before its padding, and half of a number of eight digits."""
    bar = heatmap(np.eye(3), title="t", unit="u", colours="viridis").data[0].colorbar
    assert bar.lenmode == "fraction"
    assert bar.len * width - bar.xpad + 8 * 7 / 2 <= width
    assert bar.len * width - 2 * bar.xpad >= 70


@pytest.mark.parametrize(
    "draw",
    [
        lambda title: heatmap(np.eye(3), title=title, unit="u", colours="viridis", narrow=True),
        lambda title: map_overlay(
            some_photo(9, 9), a_cam(np.eye(3)), CROP, title=title, unit="u", narrow=True
        ),
    ],
)
def test_a_long_title_in_a_third_of_a_page_is_broken_into_short_lines(draw: Any) -> None:
    title = "Channel 1023 of efficientnet/block6a_expand_activation"
    lines = draw(title).layout.title.text.split("<br>")
    assert "".join(lines).replace(" ", "") == title.replace(" ", "")
    assert max(map(len, lines)) <= 30


# --- map_overlay and photo_figure -----------------------------------------------------------


@pytest.mark.parametrize("preprocessing", [CROP, STRETCH, PAD], ids=lambda p: p.fit)
@pytest.mark.parametrize("size", [(160, 240), (240, 150), (200, 200)])
def test_a_cell_is_over_the_pixels_that_the_network_saw_there(
    size: tuple[int, int], preprocessing: Preprocessing
) -> None:
    # The colours of the photo are the positions of its pixels: they show what became of each.
    y, x = np.mgrid[: size[0], : size[1]]
    photo = np.dstack([x, y, np.full(size, 255)]).astype(np.uint8)
    view = network_view(photo, preprocessing).astype(float)
    cells = 8
    across, down = preprocessing.width // cells, preprocessing.height // cells
    trace = of_type(
        map_overlay(photo, a_cam(some_maps(8, 8, 1)[..., 0]), preprocessing, title="t", unit="u"),
        "heatmap",
    )[0]
    compared = 0
    for row in range(cells):
        for column in range(cells):
            block = view[row * down : (row + 1) * down, column * across : (column + 1) * across]
            if (block[..., 2] < 255).any():
                continue  # the black borders, and their edge
            compared += 1
            assert trace.x0 + column * trace.dx == pytest.approx(block[..., 0].mean() + 0.5, abs=1)
            assert trace.y0 + row * trace.dy == pytest.approx(block[..., 1].mean() + 0.5, abs=1)
            assert list(trace.customdata[row][column]) == [row, column]
    assert compared >= 24


@pytest.mark.parametrize("preprocessing", [CROP, STRETCH, PAD], ids=lambda p: p.fit)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("kind", ["for", "against", "even"])
def test_the_picture_is_that_of_the_overlay_file(
    preprocessing: Preprocessing, signed: bool, kind: str
) -> None:
    photo = some_photo(300, 400)
    values = some_maps(7, 7, 1)[..., 0]
    values[3, 3] = {"for": 9, "against": -99, "even": 0}[kind]
    cam = a_cam(values if kind != "even" else np.full((7, 7), 3.0))
    figure = map_overlay(photo, cam, preprocessing, title="t", unit="u", signed=signed)
    below, above = figure.layout.images
    assert (below.layer, above.layer) == ("below", "above")
    for image in (below, above):
        assert (image.x, image.y, image.sizex, image.sizey) == (0, 0, 400, 300)
        assert image.sizing == "stretch"
    expected = overlay(photo, cam, preprocessing, signed=signed)
    # Of a JPEG: it has half of the pixels for colour.
    assert np.abs(pixels_of(above.source)[..., :3] - expected.astype(float)).mean() < 3
    assert np.abs(pixels_of(below.source)[..., 0] - in_grey(photo).astype(float)).mean() < 3
    assert not np.ptp(pixels_of(below.source)[..., :3], axis=-1).any()


def test_a_tiny_photo_s_overlay_has_exact_colours() -> None:
    photo, cam = some_photo(20, 20), a_cam([[3.0, -1.0], [0.0, 2.0]])
    above = map_overlay(photo, cam, STRETCH, title="t", unit="u").layout.images[1]
    large = photo.repeat(20, axis=0).repeat(20, axis=1)
    np.testing.assert_array_equal(pixels_of(above.source)[..., :3], overlay(large, cam, STRETCH))


@pytest.mark.parametrize("times", [1, 4])
def test_pixels_that_the_network_did_not_see_are_grey_and_there_is_a_frame(times: int) -> None:
    photo = some_photo(200 * times, 400 * times)
    cam = a_cam(np.linspace(1, 1.001, 16).reshape(4, 4))
    figure = map_overlay(photo, cam, CROP, title="t", unit="u")
    # By hand: the middle 175 of 200 pixels, both ways.
    border = figure.layout.shapes[0]
    edges = np.array([border.x0, border.x1, border.y0, border.y1])
    assert (edges / times).tolist() == [112.5, 287.5, 12.5, 187.5]
    drawn = pixels_of(figure.layout.images[1].source)[..., :3].astype(int)
    colourful = np.ptp(drawn, axis=-1) > 60
    scale = len(drawn) / 200
    rows, columns = (np.arange(size) / scale for size in colourful.shape)
    inside = np.outer((rows > 20) & (rows < 180), (columns > 120) & (columns < 280))
    outside = np.outer((rows > 5) & (rows < 195), (columns < 105) | (columns > 295))
    assert colourful[inside].all()
    assert not colourful[outside].any()
    for whole in (STRETCH, PAD):
        assert not map_overlay(photo, cam, whole, title="t", unit="u").layout.shapes


@pytest.mark.parametrize("value", [2.0, np.nan])
def test_a_map_that_says_nothing_has_its_values_under_the_mouse_and_no_colours(
    value: float,
) -> None:
    cam = a_cam(np.full((4, 4), value))
    figure = map_overlay(some_photo(80, 80), cam, STRETCH, title="t", unit="u")
    below, above = (pixels_of(image.source) for image in figure.layout.images)
    np.testing.assert_array_equal(above, below)
    (trace,) = of_type(figure, "heatmap")
    np.testing.assert_array_equal(trace.z, cam.values)
    assert not trace.showscale
    both = [cam, a_cam([[3.0, -1.0]], "dog")]
    beside = evidence_maps(some_photo(80, 80), both, STRETCH, title="t", unit="u")
    grey, coloured = beside.data
    assert len({colour for _, colour in grey.colorscale}) == 1
    assert grey.coloraxis is None
    assert coloured.coloraxis == "coloraxis"
    assert (beside.layout.coloraxis.cmin, beside.layout.coloraxis.cmax) == (-3, 3)


def test_the_slider_changes_the_overlay_and_nothing_else() -> None:
    figure = map_overlay(some_photo(50, 50), a_cam(np.eye(2)), STRETCH, title="t", unit="u")
    slider = figure.layout.sliders[0]
    assert [step.label for step in slider.steps[:3]] == ["0 %", "5 %", "10 %"]
    for number, step in enumerate(slider.steps):
        assert step.method == "relayout"
        assert step.args == ({"images[1].opacity": pytest.approx(number / 20)},)
    assert slider.steps[-1].label == "100 %"
    assert slider.steps[slider.active].label == "100 %"
    assert figure.layout.images[1].opacity == 1
    assert figure.layout.images[0].opacity == 1


def test_an_overlay_s_bar_has_zero_and_the_strongest_evidence() -> None:
    values = np.array([[-8.0, 2.0], [1.0, 4.0]])
    for options, limits, ticks in (
        ({}, (-8, 8), ("−8", "0", "8")),
        ({"signed": False}, (0, 8), ("0", "8")),
        ({"limit": 20.0}, (-20, 20), ("−20", "0", "20")),
    ):
        figure = map_overlay(
            some_photo(40, 40), a_cam(values), STRETCH, title="t", unit="u", **options
        )
        trace = of_type(figure, "heatmap")[0]
        assert (trace.zmin, trace.zmax) == limits
        assert trace.colorbar.ticktext == ticks
        # A line across the bar at each number, and so at zero.
        assert (trace.colorbar.ticks, trace.colorbar.tickwidth) == ("inside", 1.5)
        assert trace.colorbar.ticklen == trace.colorbar.thickness
        assert trace.opacity == 0
        np.testing.assert_array_equal(trace.z, values)


@pytest.mark.parametrize("size", [(28, 28), (300, 451), (3000, 1000)])
def test_a_photo_beside_its_overlay_is_as_large_and_lower_by_the_bar(size: tuple[int, int]) -> None:
    photo = some_photo(*size)
    alone = photo_figure(photo, title="t").layout
    covered = map_overlay(photo, a_cam(np.eye(3)), CROP, title="t", unit="u").layout
    assert covered.margin.t - alone.margin.t == BAR_SPACE
    plots = [one.height - one.margin.t - one.margin.b for one in (alone, covered)]
    assert plots[0] == plots[1]
    assert (alone.margin.l, alone.margin.r) == (covered.margin.l, covered.margin.r)
    # In a narrow container, too: the share of its width is the same.
    assert alone.meta[1] == covered.meta[1]
    assert (alone.xaxis, alone.yaxis) == (covered.xaxis, covered.yaxis)
    assert (alone.images[0].sizex, alone.images[0].sizey) == size[::-1]
    assert (covered.images[0].sizex, covered.images[0].sizey) == size[::-1]
    assert alone.xaxis.range == (0, size[1])
    assert alone.yaxis.range == (size[0], 0)
    assert max(pixels_of(alone.images[0].source).shape) <= 1000


@pytest.mark.parametrize("side", [28, 200])
def test_an_opaque_alpha_is_not_drawn(side: int) -> None:
    photo = some_photo(side, side)
    opaque = np.dstack([photo, np.full((side, side), 255, np.uint8)])
    drawn = [photo_figure(pixels, title="t").layout.images[0] for pixels in (photo, opaque)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiny_photo_keeps_its_pixels(channels: int) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (28, 28, channels), np.uint8)
    shown = pixels_of(photo_figure(photo, title="t").layout.images[0].source)
    factor = shown.shape[0] // 28
    assert factor >= 8
    expected = np.broadcast_to(photo, (28, 28, 3)).repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(shown[..., :3], expected)


# --- evidence_maps --------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(1, 7))
def test_evidence_maps_share_one_scale_and_do_not_overlap(count: int) -> None:
    maps = [a_cam(some_maps(7, 7, 1, seed=k)[..., 0], f"class {k}") for k in range(count)]
    photo = some_photo(80, 120)
    figure = evidence_maps(photo, maps, STRETCH, title="t", unit="logit")
    largest = max(np.abs(cam.values).max() for cam in maps)
    scale = figure.layout.coloraxis
    assert (scale.cmin, scale.cmax) == (-largest, largest)
    assert scale.colorbar.title.text == "logit"
    red, green, blue = table(SIGNED)[0].tolist()
    assert scale.colorscale[0] == (0, f"rgb({red},{green},{blue})")
    boxes = []
    parts = (figure.data, maps, figure.layout.annotations, figure.layout.images)
    for trace, cam, note, image in zip(*parts, strict=True):
        assert trace.coloraxis == "coloraxis"
        np.testing.assert_array_equal(trace.z, cam.values)
        # Only for the mouse: the picture has the colours, over the photo.
        assert trace.opacity == 0
        assert trace.hovertemplate.startswith(cam.target)
        assert (trace.dx, trace.dy) == (120 / 7, 80 / 7)
        assert (image.xref, image.yref) == (trace.xaxis or "x", trace.yaxis or "y")
        assert (image.sizex, image.sizey) == (120, 80)
        drawn = pixels_of(image.source)[..., :3]
        large = magnify(photo, len(drawn) // 80)
        expected = overlay(large, cam, STRETCH, limit=largest).astype(int)
        assert np.abs(drawn - expected).mean() < 6
        xaxis = figure.layout[image.xref.replace("x", "xaxis")]
        yaxis = figure.layout[image.yref.replace("y", "yaxis")]
        assert (xaxis.range, yaxis.range) == ((0, 120), (80, 0))
        assert (xaxis.anchor, yaxis.anchor) == (image.yref, image.xref)
        assert yaxis.scaleanchor == image.xref
        assert (note.text, note.x, note.y) == (cam.target, xaxis.domain[0], yaxis.domain[1])
        boxes.append((*xaxis.domain, *yaxis.domain))
    for one, (left, right, bottom, top) in enumerate(boxes):
        assert 0 <= left < right <= 1 + 1e-9
        assert 0 <= bottom < top <= 1 + 1e-9
        for other in boxes[:one]:
            apart = left >= other[1] or right <= other[0] or bottom >= other[3] or top <= other[2]
            assert apart


def test_maps_that_say_nothing_have_no_scale() -> None:
    cam = a_cam(np.zeros((2, 2)))
    figure = evidence_maps(some_photo(30, 30), [cam], STRETCH, title="t", unit="u")
    assert not figure.layout.coloraxis.to_plotly_json()
    assert not figure.data[0].showscale


@pytest.mark.parametrize(
    ("largest", "texts"),
    [
        (8.67, ("8.67", "−1.08")),
        (0.3, ("0.300", "−0.038")),
        (123.0, ("123", "−15")),
        (3e-6, ("3e−06", "−3.75e−07")),
        (2e7, ("2e+07", "−2.5e+06")),
    ],
)
def test_printed_values_have_the_decimals_of_the_largest(
    largest: float, texts: tuple[str, str]
) -> None:
    values = np.array([[largest, -largest / 8]])
    trace = heatmap(values, title="t", unit="u", colours=SIGNED, centred=True).data[0]
    assert tuple(trace.text[0]) == texts
    assert trace.texttemplate == "%{text}"


@pytest.mark.parametrize(
    ("side", "centred", "gap"), [(7, True, 1), (7, False, None), (17, True, None)]
)
def test_cells_have_edges_where_zero_has_the_page_s_colour(
    side: int, centred: bool, gap: int | None
) -> None:
    figure = heatmap(np.eye(side), title="t", unit="u", colours=SIGNED, centred=centred)
    assert (figure.data[0].xgap, figure.data[0].ygap) == (gap, gap)


# --- confidence_bars ------------------------------------------------------------------------


def test_bars_by_hand() -> None:
    scores = [("dog", 0.25), ("cat", 0.7), ("German short-haired pointer", 0.05)]
    figure = confidence_bars(scores, highlight="cat")
    _, bars = of_type(figure, "bar")
    assert list(bars.x) == [0.7, 0.25, 0.05]
    # The first is at the top: the axis goes down.
    assert list(bars.y) == [0, 1, 2]
    assert figure.layout.yaxis.range[0] > 2 > 0 > figure.layout.yaxis.range[1]
    assert figure.layout.xaxis.range == (0, 1)
    notes = [(note.text, note.x, note.y) for note in figure.layout.annotations]
    for row, (name, percent) in enumerate(
        [("cat", "70.0 %"), ("dog", "25.0 %"), ("German short-haired pointer", "5.0 %")]
    ):
        label, value = notes[2 * row : 2 * row + 2]
        assert label[:2] == (name, 0)
        assert value[:2] == (percent, 1)
        # Above its bar, below the one before.
        assert row - 1 + bars.width / 2 < label[2] <= row - bars.width / 2
    highlighted, *others = bars.marker.color
    assert highlighted not in others


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (1.0, "> 99.9 %"),
        (0.99999, "> 99.9 %"),
        (0.9994, "99.9 %"),
        (0.0006, "0.1 %"),
        (0.0001, "< 0.1 %"),
        (0.0, "0.0 %"),
        (math.nan, "0.0 %"),
        (1.0000001, "> 99.9 %"),
    ],
)
def test_percentages_are_not_rounded_to_0_or_100(score: float, text: str) -> None:
    figure = confidence_bars([("cat", score)], highlight=None)
    assert html.unescape(figure.layout.annotations[1].text) == text


# --- The buttons ----------------------------------------------------------------------------


def test_two_quick_clicks_stay_two_and_the_wheel_scrolls_the_page() -> None:
    assert CHART_CONFIG["doubleClickDelay"] == 0
    assert CHART_CONFIG["scrollZoom"] is False
    assert CHART_CONFIG["displaylogo"] is False
    json.dumps(CHART_CONFIG)


# --- The curves of a training -------------------------------------------------------------------


def curve(**options: Any) -> go.Figure:
    options = {"numbers": [1, 2, 4], "title": "Loss", "epochs": 9, "chosen": 2} | options
    return learning_curve([2.0, 1.5, 1.25], [2.5, 1.75, 3.5], **options)


def test_curves_hold_their_numbers_at_their_epochs() -> None:
    figure = curve()
    training, validation = figure.data
    assert (training.name, validation.name) == ("training", "validation")
    assert training.line.color != validation.line.color
    for trace, values in ((training, [2.0, 1.5, 1.25]), (validation, [2.5, 1.75, 3.5])):
        assert list(trace.x) == [1, 2, 4]
        assert list(trace.y) == values
        assert trace.hovertemplate == f"epoch %{{x}}<br>{trace.name} %{{y:.4f}}<extra></extra>"
    assert figure.layout.title.text == "Loss"
    assert figure.layout.showlegend
    # All epochs have space from the start, and the axis of losses begins at 0.
    assert figure.layout.xaxis.range == (0.5, 9.5)
    assert figure.layout.xaxis.dtick == 1
    assert figure.layout.yaxis.rangemode == "tozero"


def test_the_chosen_epoch_is_marked() -> None:
    marks = [shape for shape in curve(chosen=4).layout.shapes if shape.line.dash]
    assert [(mark.x0, mark.x1) for mark in marks] == [(4, 4)]
    assert [(mark.y0, mark.y1, mark.yref) for mark in marks] == [(0, 1, "paper")]


def test_shares_are_in_percent_and_many_epochs_get_few_numbers() -> None:
    figure = curve(share=True, epochs=100)
    assert figure.layout.yaxis.range == (0, 1.02)
    assert figure.layout.yaxis.tickformat == ".0%"
    assert "%{y:.2%}" in figure.data[0].hovertemplate
    assert figure.layout.xaxis.range == (0.5, 100.5)
    assert figure.layout.xaxis.dtick is None
    assert figure.layout.xaxis.nticks == 8


def test_the_untrained_network_is_at_0_of_one_curve() -> None:
    figure = curve(numbers=[0, 1, 2], chosen=0)
    assert figure.layout.xaxis.range == (-0.5, 9.5)
    (mark,) = [shape for shape in figure.layout.shapes if shape.line.dash]
    assert mark.x0 == 0
    untrained = learning_curve(
        [None, 1.0], [2.0, 1.0], numbers=[0, 1], title="Loss", epochs=1, chosen=1
    )
    assert list(untrained.data[0].y) == [None, 1.0]


def test_the_curve_of_batches_has_each_batch_and_a_mean_of_ten() -> None:
    """Of a picture 600 wide and 100 high; an epoch ends at a fifth of it."""
    values = np.array([4.0, 0.0, np.nan, 2.0], np.float32)
    svg = batch_curve(np.array([0.75, 1.0, 1.5, 2.0 - 1e-3], np.float32), values, 4.0)
    batches, means = re.findall('points="(.*?)"', svg)
    assert batches == "0.0,0.0 120.1,100.0 600.0,50.0"
    assert means.split()[:2] == ["0.0,0.0", "120.1,50.0"]
    assert svg.count("stroke-dasharray") == 1
    assert "M120.1 0V100" in svg
    # Well formed, as an SVG in a picture has to be.
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    # A single one is level: a point would not be seen.
    (level, _) = re.findall('points="(.*?)"', batch_curve(np.array([1.0]), np.array([3.0]), 4.0))
    assert level == "0.0,25.0 600.0,25.0"


def test_one_epoch_is_drawn_too() -> None:
    figure = learning_curve([1.0], [1.0], numbers=[1], title="Loss", epochs=1, chosen=1)
    assert figure.layout.xaxis.range == (0.5, 2.5)
    # A line needs two points: the markers show the one.
    assert figure.data[0].mode == "lines+markers"


def test_curves_of_deletion_are_over_the_share_that_is_replaced() -> None:
    curves = np.array([[1.0, 0.5, 0.0], [1.0, 0.75, 0.0], [1.0, 1.0 + 1e-7, 0.0]])
    figure = step_curves(curves, title="Deletion", across="replaced")
    for trace, curve in zip(figure.data, curves, strict=True):
        np.testing.assert_array_equal(trace.x, [0, 0.5, 1])
        np.testing.assert_allclose(trace.y, curve, atol=1e-6)
    assert [trace.name for trace in figure.data] == ["this map", "blurred copy", "random map"]
    assert len({trace.line.dash for trace in figure.data}) == 3, "readable without colours"
