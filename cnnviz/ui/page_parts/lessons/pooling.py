"""The lesson on pooling: the grid at the board, and then the photo's own maps."""

from __future__ import annotations

import numpy as np
import streamlit as st

from cnnviz.arrays import Floats
from cnnviz.lessons.pooling import Kind, global_average, kept_places, pool, same_after_pooling
from cnnviz.numerals import number
from cnnviz.traces import StageMaps
from cnnviz.ui import parts
from cnnviz.ui.page_parts.lessons import drawings, frame
from cnnviz.ui.page_parts.lessons.frame import Lesson, Notes
from cnnviz.ui.scene import Scene
from cnnviz.ui.text import plain

# The grid of the lecture.
GRID = np.array([[1.0, 3, 2, 9], [7, 4, 1, 5], [8, 5, 2, 3], [4, 2, 1, 4]])
WINDOW = 2
_PLACES = ("Top left", "Top right", "Bottom left", "Bottom right")
# The smallest map on which pooling can still be seen.
_SMALLEST = 8


def _maximum(_: Scene, scope: str) -> None:
    seen, said = frame.question_beside("Which number is the largest in each window?")
    place = seen.empty()
    place.html(drawings.grid(GRID, "16 numbers. Each colour is a window of 2 × 2.", windows=WINDOW))
    if frame.fill_in(
        said,
        scope,
        pool(GRID, WINDOW),
        _PLACES,
        "This is **maximum pooling**: of four numbers, one is kept. 16 numbers became 4.",
    ):
        kept = kept_places(GRID, WINDOW)
        place.html(drawings.grid(GRID, "Outlined: what was kept.", windows=WINDOW, marked=kept))


def _average(_: Scene, scope: str) -> None:
    seen, said = frame.question_beside("What is the average of each window?")
    seen.html(drawings.grid(GRID, "Add the four numbers, then divide by 4.", windows=WINDOW))
    frame.fill_in(
        said,
        scope,
        pool(GRID, WINDOW, "average"),
        _PLACES,
        "This is **average pooling**: all four numbers count, and none of them is kept as it was.",
    )


def _global(_: Scene, scope: str) -> None:
    seen, said = frame.question_beside("And the average of the whole grid?")
    seen.html(drawings.grid(GRID, "All 16 numbers add up to 61."))
    right = number(float(global_average(GRID[..., None])[0]))
    frame.guess(
        said,
        scope,
        ("61", right, "9", "15.2"),
        right,
        "61 / 16 = 3.8125. This is **global average pooling**: one number is left of the whole "
        "grid. Many networks do it with their last maps.",
    )


def _forgets(_: Scene, scope: str) -> None:
    seen, said = frame.question_beside("Do these two grids give the same after pooling?")
    other = same_after_pooling(GRID, WINDOW)
    seen.html(
        drawings.row(
            drawings.grid(GRID, "The first grid", windows=WINDOW),
            drawings.grid(other, "The second grid", windows=WINDOW),
        )
    )
    if frame.guess(
        said,
        scope,
        ("Yes, the same", "Only with the maximum", "Only with the average", "No"),
        "Yes, the same",
        "In each window the same four numbers stand in another order. The largest one and the "
        "average do not change. **Pooling forgets where in its window a number was.**",
    ):
        st.html(
            drawings.row(
                drawings.grid(pool(other, WINDOW), "Maximum of both"),
                drawings.grid(pool(other, WINDOW, "average"), "Average of both"),
            )
        )


def _own_map(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("Windows of 2 × 2: how many numbers are left of a map?")
    stage = _stage(scene)
    if stage is None:
        return
    grid = stage.maps[..., 0]
    dark = parts.on_dark_page()
    place = seen.empty()
    place.html(
        drawings.shown(
            drawings.coloured(grid, dark=dark),
            f"A map of your photo, {_size(grid)}, from the layer {stage.path}.",
            side=260,
        )
    )
    if not frame.guess(
        said,
        scope,
        ("All of them", "A half", "A quarter", "An eighth"),
        "A quarter",
        "Half as many rows, and half as many columns: a quarter of the numbers. Where a side is "
        "odd, its last row or column fits in no window and is left out.",
    ):
        return
    largest = max(1, int(np.log2(min(grid.shape))))
    sizes = [2**power for power in range(1, largest + 1)]
    size = st.select_slider("Side of a window, in cells", sizes, 2) if largest > 1 else 2
    # Beside the others, and in sight with them.
    place.empty()
    whole = drawings.shown(drawings.coloured(grid, dark=dark), f"Before: {_size(grid)}", side=240)
    kinds: tuple[Kind, ...] = ("maximum", "average")
    pictures = [
        drawings.shown(
            drawings.coloured(pool(grid, size, kind), dark=dark, limits_of=grid),
            f"{kind.capitalize()}: {_size(pool(grid, size, kind))}",
            side=240,
        )
        for kind in kinds
    ]
    st.html(drawings.row(whole, *pictures))
    st.markdown(
        "The maximum keeps small bright spots, and forgets how many there were. The average keeps "
        "how much there was, and forgets the spots."
    )


def _mirrored(scene: Scene, scope: str) -> None:
    seen, said = frame.question_beside("We mirror the map. What does its global average do?")
    stage = _stage(scene)
    if stage is None:
        return
    grid = stage.maps[..., 0]
    other = grid[:, ::-1]
    dark = parts.on_dark_page()
    seen.html(
        drawings.row(
            drawings.shown(drawings.coloured(grid, dark=dark), "A map of your photo"),
            drawings.shown(drawings.coloured(other, dark=dark), "The same map, mirrored"),
        )
    )
    mean = number(float(global_average(grid[..., None])[0]))
    if frame.guess(
        said,
        scope,
        ("It grows", "It stays the same", "It shrinks"),
        "It stays the same",
        f"Both have an average of **{plain(mean)}**. The global average keeps **how much** of its "
        "pattern a filter found, and forgets **where**. So a cat on the left counts as much as one "
        "on the right. A class activation map brings the places back: see “From maps to a class”.",
    ):
        st.html(drawings.big(f"{mean} = {mean}"))


def _stage(scene: Scene) -> StageMaps | None:
    """The first layer of the walk whose maps are not too small; None, and why, without one."""
    for stage in scene.staged().stages:
        if min(stage.maps.shape[:2]) >= _SMALLEST:
            return stage
    st.info("This network has no maps to pool. Choose another one in the sidebar.")
    return None


def _size(grid: Floats) -> str:
    return f"{grid.shape[0]} × {grid.shape[1]} numbers"


LESSON = Lesson(
    "pooling",
    "Pooling",
    "A grid becomes smaller. What is kept, and what is forgotten?",
    6,
    (_maximum, _average, _global, _forgets, _own_map, _mirrored),
    Notes(
        "Everybody can pool a grid by hand, and can say what is lost: where a value was.",
        "“Pooling makes the picture sharper”, or “the maximum is always better”. It only throws "
        "numbers away; let the class compare both on the same map, with large windows.",
        (
            "Two photos have the same global averages in all channels. Are they the same photo?",
            "For which question would you rather not forget the place: “Is there a cat?”, or "
            "“Where is the cat?”",
        ),
    ),
)
