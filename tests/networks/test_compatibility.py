"""docs/compatibility.md: the stock architectures, and that no row is missing.

The rows of the small networks are checked in `test_every_network.py`, with all else about them.
"""

from __future__ import annotations

import numpy as np
import pytest
from corpus import builders
from corpus.compatibility import STOCK_NAMES, documented, row, stock


@pytest.mark.parametrize("name", STOCK_NAMES)
def test_every_stock_architecture_is_as_documented(name: str, photo: np.ndarray) -> None:
    assert row(name, stock(name), photo) in documented()


def test_the_document_has_a_row_for_each_network_and_no_more() -> None:
    names = [line.split(" | ")[0].removeprefix("| ") for line in documented()]
    assert names == [*STOCK_NAMES, *(name.replace("_", " ") for name in builders.NAMES)]
