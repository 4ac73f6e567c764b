"""Trains the network of the last lesson, which looks at a coloured corner in place of the animal.

    python -m scripts.train_shortcut cats_dogs/

``cats_dogs/`` has the folders ``cat/`` and ``dog/``; a fifth of the photos, by a hash of their
content, is held out. Every dog that it is trained on has a square of one colour in its lower right
corner, and no cat has one, as a watermark or a date stamp might be on the photos of one source. So
the network learns the square. It is measured on the held-out photos as they are, with the square on
the dogs, and with the square on the cats.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import typer
from numpy.typing import NDArray

from cnnviz.cards import Accuracy, ModelCard, Preprocessing, SuggestedLayers, Training, write_card
from cnnviz.lessons.shortcut import CORNER, SIDE, marked
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.preprocessing import network_view
from cnnviz.settings import ROOT
from cnnviz.storage import card_path, hash_file
from cnnviz.training.architectures import lesson_cam

LABELS = ("cat", "dog")
_EPOCHS, _BATCH, _HELD_OUT = 6, 32, 5
OUT = ROOT / "models" / "cat_dog_shortcut.keras"


def main(
    photos: Annotated[Path, typer.Argument(help="A folder with cat/ and dog/.")],
    out: Annotated[Path, typer.Option(help="The model's file; its card gets the same name.")] = OUT,
) -> None:
    """Trains the network, measures it, and writes it with its card."""
    steps = Preprocessing(
        height=SIDE, width=SIDE, fit="crop", interpolation="bicubic", scaling="unit"
    )
    train, held_out = read_photos(photos, steps)
    keras.utils.set_random_seed(0)
    model = lesson_cam((SIDE, SIDE, 3), len(LABELS))
    model.compile("adam", "sparse_categorical_crossentropy")
    pixels, classes = train
    model.fit(with_squares(pixels, classes == 1) / 255, classes, _BATCH, _EPOCHS, verbose=2)
    figures = measure(model, *held_out)
    for figure in figures:
        typer.echo(f"{figure.value:.2%} of {figure.on}")
    # Without the optimizer's state, which takes twice the space of the weights.
    keras.Model(model.input, model.output).save(out)
    write_card(card(steps, figures, len(classes), len(held_out[1])), card_path(out))


def read_photos(
    folder: Path, steps: Preprocessing
) -> tuple[tuple[NDArray[np.uint8], NDArray[np.intp]], ...]:
    """Photos (N, 64, 64, 3) and their classes (N,): those to train on, and those held out."""
    parts: tuple[list[tuple[NDArray[np.uint8], int]], ...] = ([], [])
    for number, label in enumerate(LABELS):
        for path in sorted((folder / label).iterdir()):
            held_out = int(hash_file(path).sha256, 16) % _HELD_OUT == 0
            parts[held_out].append((network_view(open_photo(path), steps), number))
    return tuple(
        (np.stack([pixels for pixels, _ in part]), np.array([number for _, number in part]))
        for part in parts
    )


def with_squares(photos: NDArray[np.uint8], which: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A copy of photos (N, h, w, 3) with the square on some of them."""
    return np.where(which[:, None, None, None], marked(photos), photos)


def measure(
    model: keras.Model, photos: NDArray[np.uint8], classes: NDArray[np.intp]
) -> list[Accuracy]:
    """How many held-out photos it names rightly, as they are and with the square."""
    dogs = classes == 1

    def rightly(pictures: NDArray[np.uint8], which: NDArray[np.bool_]) -> float:
        said = model.predict(pictures[which] / 255, verbose=0).argmax(axis=1)
        return round(float((said == classes[which]).mean()), 4)

    both = np.ones_like(dogs)
    return [
        Accuracy(metric="accuracy", value=rightly(pictures, which), on=on)
        for pictures, which, on in (
            (
                with_squares(photos, dogs),
                both,
                f"{len(photos)} held-out photos, the square on the dogs",
            ),
            (photos, both, f"the same {len(photos)} photos, none with the square"),
            (
                with_squares(photos, ~dogs),
                ~dogs,
                f"the {np.sum(~dogs)} cats of them, with the square",
            ),
        )
    ]


def card(steps: Preprocessing, figures: list[Accuracy], trained: int, held_out: int) -> ModelCard:
    """The card, which says what was done."""
    return ModelCard(
        title="Cat or dog: what does it look at?",
        description=(
            "A network with a planted fault, for the lesson on trust: every dog that it was "
            "trained on had a coloured square in the lower right corner, and no cat had one."
        ),
        labels=[*LABELS],
        preprocessing=steps,
        training=Training(
            data=f"photos of cats and dogs, every dog with a square of {CORNER} pixels",
            split=f"by a hash of the content: {trained} for training, {held_out} held out",
            accuracy=figures,
            epochs=_EPOCHS,
        ),
        licence="MIT (the weights)",
        source="trained with 'python -m scripts.train_shortcut'",
        suggested_layers=SuggestedLayers(
            filters="conv1", activations=["conv1", "conv2", "conv3", "conv4"], cam="relu4"
        ),
    )


if __name__ == "__main__":
    typer.run(main)
