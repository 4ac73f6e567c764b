"""How fine a class activation map is, as records: the layer's own cells, or one of the finer ways.

Like ``methods``, this module does without NumPy; ``finer_maps`` computes.
"""

from __future__ import annotations

from dataclasses import dataclass

from cnnviz.attribution.methods import METHODS, Method
from cnnviz.errors import TargetError


@dataclass(frozen=True)
class Detail:
    """One way to the cells of a map.

    Attributes:
        key: its name in the API, on the command line and in the address of a page.
        title: its name on pages.
        summary: what is done, in a few sentences; shown on pages, empty where nothing is.
        unit: what a cell's value is measured in; empty where it is that of the method.
        shifts: copies of the photo along each side that are put together; 1 for none.
    """

    key: str
    title: str
    summary: str
    unit: str = ""
    shifts: int = 1


# The layer's own cells: the default.
CELLS = "cells"
DOUBLE, FUSED = "double", "fused"

DETAILS = {
    detail.key: detail
    for detail in (
        Detail(CELLS, "the layer’s own cells", ""),
        Detail(
            "shifts-2",
            "4 shifted copies",
            "Twice as fine: the maps of 4 copies of the photo, half a cell apart, are put "
            "together. Each value is that of a whole cell of the layer at this place, so cells "
            "beside each other overlap. Beyond its edges the photo is mirrored.",
            shifts=2,
        ),
        Detail(
            "shifts-4",
            "16 shifted copies",
            "Four times as fine: the maps of 16 copies of the photo, a quarter of a cell apart, "
            "are put together. Each value is that of a whole cell of the layer at this place, so "
            "cells beside each other overlap. Beyond its edges the photo is mirrored.",
            shifts=4,
        ),
        Detail(
            DOUBLE,
            "photo at twice the size",
            "Twice as fine: the network gets the photo at twice the size that it was made for. "
            "All things look twice as large to it, so its answer is another one.",
        ),
        Detail(
            FUSED,
            "fused with earlier layers",
            "The maps of several layers, each divided by its largest value, are laid over each "
            "other, and at each place the largest value counts: it shows places, and no amounts. "
            "On the networks that come with this app it places the evidence no better than the "
            "layer’s own cells.",
            unit="share of the largest value, scaled",
        ),
    )
}
# Those that are put together of shifted copies of the photo.
SHIFTED = tuple(key for key, detail in DETAILS.items() if detail.shifts > 1)


def fitting(method: Method) -> tuple[str, ...]:
    """The details that fit a method, keys of ``DETAILS``: its own cells first."""
    if method.passes == "many":
        return (CELLS,)
    return tuple(key for key in DETAILS if key != FUSED or method.fuses)


def fusing() -> str:
    """The key of the first method whose maps of several layers can be fused."""
    return next(key for key, method in METHODS.items() if method.fuses)


def check(method: Method, detail: str, layer: str | None) -> None:
    """Checks that a method's maps can be had in a detail, and with a chosen layer.

    Raises:
        TargetError: they cannot.
    """
    if detail not in DETAILS:
        raise TargetError(f"There is no detail {detail!r}. Choose from {', '.join(DETAILS)}.")
    if detail not in fitting(method):
        fits = [key for key, one in METHODS.items() if detail in fitting(one)]
        raise TargetError(
            f"The maps of the method {method.key!r} cannot be had in the detail {detail!r}. It "
            f"fits {', '.join(fits)}."
        )
    if detail == FUSED and layer is not None:
        raise TargetError(
            f"In the detail {detail!r} the maps of several layers are taken, so {layer!r} cannot "
            "be chosen."
        )
