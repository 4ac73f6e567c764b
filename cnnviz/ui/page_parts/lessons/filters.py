"""The lesson on filters: one slides over a picture, place after place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from cnnviz.arrays import Bytes, Floats, scale_filters
from cnnviz.cards import Preprocessing
from cnnviz.lessons.convolution import KERNELS, Place, Sliding, convolve, output_size, place
from cnnviz.numerals import written
from cnnviz.photos.preprocessing import picture_view
from cnnviz.results import Box
from cnnviz.ui import parts
from cnnviz.ui.page_parts.lessons import drawings, frame
from cnnviz.ui.page_parts.lessons.frame import Lesson, Notes
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The picture on which filters slide, in pixels, and the filter's side.
SIDE, KERNEL = 28, 3
_SMALL = Preprocessing(height=SIDE, width=SIDE, channels=1, fit="crop", interpolation="bilinear")
_EDGES = "vertical edges"
# Filters of a network's first layer that are shown.
_MOST_SHOWN = 8
_SIGNS = ("Above zero", "Zero", "Below zero")
# The kernels in the question which one made a picture, and the one that did.
_ASKED = "horizontal edges"
_OFFERED = ("blur", "sharpen", "horizontal edges", "vertical edges")


def _once(_: Scene, scope: str) -> None:
    frame.question(f"A 3 × 3 filter slides over {SIDE} × {SIDE} pixels. How wide is the result?")
    st.markdown("It moves one pixel at a time. It only stops where it fits.")
    after = output_size(SIDE, KERNEL, Sliding())
    if frame.guess(
        st.container(),
        scope,
        _sizes(28, 27, after, 25),
        _sizes(after)[0],
        f"At the left edge the filter covers pixels 1, 2 and 3. At the right edge it covers 26, 27 "
        f"and 28. So it stops at {SIDE} − {KERNEL} + 1 = **{after}** places in each row.",
    ):
        st.html(drawings.big(f"{SIDE} → <b>{after}</b>"))


def _twice(_: Scene, scope: str) -> None:
    once = output_size(SIDE, KERNEL, Sliding())
    twice = output_size(once, KERNEL, Sliding())
    frame.question(f"A second 3 × 3 filter slides over the {once} × {once}. How wide now?")
    if frame.guess(
        st.container(),
        scope,
        _sizes(26, 25, twice, 23),
        _sizes(twice)[0],
        "Each 3 × 3 filter costs one pixel at each edge: two in width, two in height.",
    ):
        st.html(drawings.big(f"{SIDE} → {once} → <b>{twice}</b>"))


def _slide(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("What does the filter give at this place?")
    picture, kernel = small_picture(scene), np.array(KERNELS[_EDGES])
    result = convolve(picture, kernel, Sliding())
    most = int(np.abs(result).argmax())
    row, column = divmod(most, result.shape[1])
    at = place(picture, kernel, row, column, Sliding())
    if frame.guess(
        said,
        frame.scope_of(scene, scope),
        _SIGNS,
        sign_of(at.total),
        f"The nine products add up to **{plain(_whole(at.total))}**. The left column counts "
        "below zero, the right one above. So this filter gives much where it is brighter on the "
        "right, and less than zero where it is brighter on the left: it finds **vertical edges**.",
    ):
        with seen:
            _move(picture, kernel, result, most + 1)
        return
    seen.html(
        drawings.row(
            _framed(picture, at),
            drawings.grid(at.values, "The nine pixels, 0 (black) to 255", small=True),
            drawings.sign("×"),
            drawings.grid(kernel, "The filter", small=True),
        )
    )
    seen.markdown("Multiply each pixel by the number at its place. Add up all nine. Is the sum …")


def _move(picture: Floats, kernel: Floats, result: Floats, start: int) -> None:
    """The filter at a place that a person chooses, from a first one, counted from 1."""
    count = result.size
    st.markdown("**Now you move it.** Arrow keys move it one place.")
    reached = st.slider("Place, row after row", 1, count, start)
    row, column = divmod(reached - 1, result.shape[1])
    at = place(picture, kernel, row, column, Sliding())
    so_far = result.copy()
    so_far.ravel()[reached:] = np.nan
    st.html(
        drawings.row(
            _framed(picture, at),
            drawings.grid(at.products, f"Nine products. Their sum: {_whole(at.total)}", small=True),
            drawings.sign("→"),
            drawings.shown(
                drawings.coloured(so_far, dark=parts.on_dark_page(), limits_of=result),
                f"The result so far: {reached} of {count} numbers",
                box=Box(column, row, column + 1, row + 1),
            ),
        )
    )


def _which(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("Which filter made this picture?")
    kernel = np.array(KERNELS[_ASKED])
    if frame.guess(
        said,
        scope,
        _OFFERED,
        _ASKED,
        "Its upper row counts below zero, its lower row above: it answers where light and dark "
        "meet along a horizontal line.",
    ):
        with said:
            st.markdown("**Now make your own.** Nine numbers are the whole filter.")
            kernel = _own_kernel()
    picture = small_picture(scene)
    result = convolve(picture, kernel, Sliding())
    seen.html(
        drawings.row(
            drawings.shown(picture.astype(np.uint8), f"Your photo, {SIDE} × {SIDE} pixels in grey"),
            drawings.sign("→"),
            drawings.shown(
                drawings.coloured(result, dark=parts.on_dark_page()),
                "After the filter. One colour is above zero, the other below.",
            ),
        )
    )


def _own_kernel() -> Floats:
    """Nine fields, which a preset fills."""
    keys = [f"kernel {at}" for at in range(KERNEL**2)]

    def fill() -> None:
        preset = st.session_state["kernel preset"]
        if preset is not None:
            for key, value in zip(keys, np.ravel(KERNELS[preset]), strict=True):
                st.session_state[key] = float(value)

    if keys[0] not in st.session_state:
        for key, value in zip(keys, np.ravel(KERNELS[_ASKED]), strict=True):
            st.session_state[key] = float(value)
    st.pills("Start from", list(KERNELS), key="kernel preset", on_change=fill)
    with st.container(key="kernel numbers", width=400):
        for at in range(KERNEL):
            across = st.container(horizontal=True, gap="small")
            for column in range(KERNEL):
                across.number_input(
                    f"Row {at + 1}, column {column + 1}",
                    step=1.0,
                    min_value=-99.0,
                    max_value=99.0,
                    key=keys[at * KERNEL + column],
                    width=100,
                    format="%.3g",
                    label_visibility="collapsed",
                )
    return np.array([st.session_state[key] for key in keys]).reshape(KERNEL, KERNEL)


def _stride(scene: Scene, scope: str) -> None:
    frame.question("Now the filter jumps two pixels at a time. How wide is the result?")
    right = output_size(SIDE, KERNEL, Sliding(stride=2))
    _guess_and_play(
        scene,
        scope,
        _sizes(26, 24, 14, right),
        _sizes(right)[0],
        f"It starts at pixels 1, 3, 5, … 25: **{right}** places. At 27 it would stick out. The "
        "length of the jump is called **stride**.",
        Sliding(stride=2),
    )


def _padding(scene: Scene, scope: str) -> None:
    frame.question(f"How many rows of zeros around it keep {SIDE} pixels at {SIDE}?")
    _guess_and_play(
        scene,
        scope,
        ("None", "One on each side", "Two on each side", "Three on each side"),
        "One on each side",
        "With one zero on each side the picture is 30 wide, and 30 − 3 + 1 = 28. This is called "
        "**padding**.",
        Sliding(padding=1),
    )


def _dilation(scene: Scene, scope: str) -> None:
    frame.question("The filter skips every second pixel. How wide is what it covers?")
    st.markdown("It still has 3 × 3 numbers, but with a gap of one pixel between them.")
    _guess_and_play(
        scene,
        scope,
        ("3 pixels", "5 pixels", "6 pixels", "9 pixels"),
        "5 pixels",
        "Number, gap, number, gap, number: 5 pixels. This is called **dilation**: the filter sees "
        "more of the picture, with no more numbers.",
        Sliding(dilation=2),
    )


def _guess_and_play(
    scene: Scene, scope: str, options: Sequence[str], right: str, because: str, start: Sliding
) -> None:
    """A guess as ``frame.guess`` has it and, beside its answer, what to try out."""
    said, seen = st.columns([2, 3], gap="large")
    if frame.guess(said, scope, options, right, because):
        with seen:
            _play(scene, start)


def _play(scene: Scene, start: Sliding) -> None:
    """Stride, padding and dilation to try out."""
    columns = st.columns(3)
    stride = columns[0].slider("Stride", 1, 4, start.stride)
    padding = columns[1].slider("Padding", 0, 4, start.padding)
    dilation = columns[2].slider("Dilation", 1, 4, start.dilation)
    sliding, picture = Sliding(stride, padding, dilation), small_picture(scene)
    result = convolve(picture, np.array(KERNELS[_EDGES]), sliding)
    reach = (KERNEL - 1) * dilation + 1
    wide = SIDE + 2 * padding
    st.html(drawings.big(f"{SIDE} → <b>{result.shape[1]}</b>"))
    st.markdown(
        f"{SIDE} pixels and {2 * padding} of padding are {wide}. The filter covers {reach}. It can "
        f"move on by {wide - reach}, in steps of {stride}: {wide - reach} / {stride}, rounded "
        f"down, and the first place: **{result.shape[1]}**."
    )
    st.html(
        drawings.row(
            drawings.shown(picture.astype(np.uint8), f"{SIDE} × {SIDE}"),
            drawings.sign("→"),
            drawings.shown(
                drawings.coloured(result, dark=parts.on_dark_page()),
                f"{result.shape[0]} × {result.shape[1]}",
                side=round(220 * min(result.shape[0] / SIDE, 1.2)),
            ),
        )
    )


def _network(scene: Scene, scope: str) -> None:
    frame.question("Who chose the numbers in the filters of a real network?")
    if not frame.guess(
        st.container(),
        scope,
        ("Engineers wrote them", "Training found them", "They are random"),
        "Training found them",
        "They began as random numbers. Training changed them, a little after each batch of photos, "
        "until the answers were good.",
    ):
        return
    convolutions = [layer.path for layer in scene.outline.layers if layer.kernel_shape]
    if not convolutions:
        st.info("This network has no filters. Choose another one in the sidebar to see some.")
        return
    kernels, maps = scene.filters(convolutions[0]).kernels, scene.activations(convolutions[0])
    strongest = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:_MOST_SHOWN]
    st.markdown(
        f"The first layer of your network has **{maps.shape[-1]} filters** of "
        f"{kernels.shape[0]} × {kernels.shape[1]}. Here are {len(strongest)}, and what each "
        "gives for your photo."
    )
    dark = parts.on_dark_page()
    pairs = [
        drawings.row(
            drawings.shown(_kernel_picture(kernels, one), f"Filter {one}", side=72),
            drawings.shown(drawings.coloured(maps[..., one], dark=dark), f"Map {one}", side=150),
        )
        for one in strongest
    ]
    st.html(drawings.row(*pairs))
    if kernels.shape[2] == 3:
        st.caption("In a filter's picture grey is zero; red, green and blue are its three grids.")
    else:
        st.caption("In a filter's picture grey is zero, white is above and black below.")


def _kernel_picture(kernels: Floats, number_: int) -> Bytes:
    """A filter (kh, kw, C) with zero in mid grey; of other than three inputs, their mean."""
    kernel = kernels[..., number_]
    if kernel.shape[2] != 3:
        kernel = kernel.mean(axis=2, keepdims=True)
    scaled = scale_filters(kernel[..., None], "symmetric")[..., 0]
    return np.rint((scaled + 1) * 127.5).astype(np.uint8)


def small_picture(scene: Scene) -> Floats:
    """The photo in (28, 28) grey values, 0 to 255."""
    steps = scene.photo.seen_by(_SMALL)
    return picture_view(scene.photo.decode(), steps)[..., 0].astype(np.float64)


def sign_of(total: float) -> str:
    """Whether a sum is above zero, zero or below."""
    if total == 0:
        return _SIGNS[1]
    return _SIGNS[0] if total > 0 else _SIGNS[2]


def _whole(total: float) -> str:
    """A sum of whole numbers."""
    return written(total, ",.0f")


def _framed(picture: Floats, at: Place) -> str:
    box = Box(at.left, at.top, at.left + KERNEL, at.top + KERNEL)
    return drawings.shown(picture.astype(np.uint8), "Your photo, and the filter on it", box=box)


def _sizes(*sides: int) -> Sequence[str]:
    return tuple(f"{side} × {side}" for side in sides)


LESSON = Lesson(
    "filter",
    "A filter slides",
    "Nine numbers slide over a picture, and find edges.",
    6,
    (_once, _twice, _slide, _which, _stride, _padding, _dilation, _network),
    Notes(
        "Everybody can compute one place of a convolution, and the size of the result.",
        "“The filter changes the photo.” It makes a new grid of numbers; the photo stays. And its "
        "numbers are no secret knowledge: training found them.",
        (
            "What does a filter of nine zeros with a 1 in the middle give?",
            "A network has three 3 × 3 layers, one after the other. How many pixels of the photo "
            "does one number of the last layer depend on, in a row?",
        ),
    ),
)
