"""Model cards: what a saved network is, how to feed it and how far to trust it.

A card is a JSON file beside the model with the same name: ``cat_dog.keras`` has
``cat_dog.json``. A model without a card gets an inferred one, which is marked so.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from cnnviz.errors import CardError
from cnnviz.storage import read_small_file

Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
MAX_SIDE = 4096
MAX_NAME = 256
# 65,536 classes with long names take half of it.
MAX_CARD_BYTES = 32 << 20


# The preprocessing that a person may pick by name: fields of ``Preprocessing``.
PRESETS: dict[str, dict[str, str]] = {
    "none": {"scaling": "none"},
    "unit": {"scaling": "unit"},
    "tf": {"scaling": "tf"},
    "torch": {"scaling": "torch"},
    "caffe": {"scaling": "caffe"},
    # As the program does that its export shows: Pillow's ImageOps.fit, then x / 127.5 - 1.
    "teachable-machine": {"scaling": "tf", "fit": "crop", "interpolation": "lanczos"},
}


class CardPart(BaseModel):
    """A card or a part of one: it is never changed, and a field that is unknown is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Preprocessing(CardPart):
    """How a photo becomes the network input.

    Attributes:
        height: rows of the network input, in pixels.
        width: columns of the network input, in pixels.
        channels: 3 for RGB, 1 for grey, 4 for RGB and an alpha that is opaque everywhere.
        fit: ``crop`` takes the largest rectangle of the input's shape,
            ``stretch`` squeezes the whole photo, ``pad`` adds black borders.
        crop_fraction: the share of that rectangle's sides that is kept (``crop`` only).
        crop_at: how much of the space that the crop leaves free is left of it, and above it
            (``crop`` only); its middle by default.
        interpolation: Pillow's filter for the resize.
        scaling: ``none`` keeps 0 to 255, ``unit`` gives 0 to 1, ``tf`` gives -1 to 1;
            ``caffe`` is BGR less ImageNet's mean; ``torch`` is 0 to 1, then ImageNet's
            mean and deviation. With ``unknown`` the network is not run on photos.
    """

    height: int = Field(gt=0, le=MAX_SIDE)
    width: int = Field(gt=0, le=MAX_SIDE)
    channels: Literal[1, 3, 4] = 3
    fit: Literal["crop", "stretch", "pad"] = "stretch"
    crop_fraction: float = Field(default=1.0, gt=0, le=1)
    crop_at: tuple[Share, Share] = (0.5, 0.5)
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    scaling: Literal["none", "unit", "tf", "caffe", "torch", "unknown"] = "none"

    @model_validator(mode="after")
    def _colours_for_colour_scaling(self) -> Self:
        if self.channels != 3 and self.scaling in {"caffe", "torch"}:
            raise ValueError(
                f"scaling {self.scaling!r} needs 3 channels, and channels is {self.channels}"
            )
        return self

    def doubled(self) -> Preprocessing:
        """The same for a network input of twice the height and width."""
        return self.model_copy(update={"height": 2 * self.height, "width": 2 * self.width})


class Accuracy(CardPart):
    """One measured figure: ``value`` between 0 and 1, and what it was measured ``on``."""

    metric: Text
    value: float = Field(ge=0, le=1)
    on: Text


class Confusion(CardPart):
    """How often photos of each class were classified as each.

    Attributes:
        counts: a row for each true class, a column for each predicted one, in the order of
            the labels.
        on: which photos.
    """

    counts: list[list[Annotated[int, Field(ge=0)]]]
    on: Text

    @model_validator(mode="after")
    def _as_many_rows_as_columns(self) -> Self:
        if any(len(row) != len(self.counts) for row in self.counts):
            raise ValueError("a confusion matrix needs as many rows as columns")
        return self


class Training(CardPart):
    """The origin of the weights: the data, how they were split, what was measured.

    Attributes:
        calibration_error: how far the probability of the predicted class is from how often it is
            right, on average (``calibration_error`` in ``training.result_card``); None where that
            was not measured.
        seconds: how long the training took.
        versions: of what it was trained with.
    """

    data: Text
    split: Text
    accuracy: list[Accuracy] = []
    calibration_error: Accuracy | None = None
    confusion: Confusion | None = None
    epochs: int | None = None
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    versions: dict[str, str] = {}


class SuggestedLayers(CardPart):
    """Layer paths that pages show first; empty where none were chosen."""

    filters: str | None = None
    activations: list[str] = []
    cam: str | None = None


class ModelCard(CardPart):
    """What a person should know about a model before relying on its pictures.

    Attributes:
        architecture: its name, where it has one and the title does not say it.
        output: name of the output that is shown, of a model with several; None for the first
            that gives class scores. The labels are those of this output.
    """

    title: Text
    description: Text
    labels: list[Text] = Field(min_length=1)
    preprocessing: Preprocessing
    training: Training
    licence: Text
    source: Text
    suggested_layers: SuggestedLayers = SuggestedLayers()
    architecture: Text | None = None
    output: str | None = None
    inferred: bool = False

    @field_validator("labels")
    @classmethod
    def _no_name_twice(cls, labels: list[str]) -> list[str]:
        name, count = Counter(labels).most_common(1)[0]
        if count > 1:
            raise ValueError(f"every class needs a name of its own; {name!r} appears {count} times")
        return labels

    @model_validator(mode="after")
    def _confusion_of_these_labels(self) -> Self:
        confusion = self.training.confusion
        if confusion and len(confusion.counts) != len(self.labels):
            rows = len(confusion.counts)
            raise ValueError(f"the confusion matrix has {rows} rows for {len(self.labels)} labels")
        return self


def numbered_labels(units: int) -> list[str]:
    """Names for the classes of an output of so many units; one unit represents two classes."""
    return [f"class {index}" for index in range(max(units, 2))]


def read_class_names(text: str) -> list[str]:
    r"""The class names in the text of a ``labels.txt``, one a line; [] where a name is too long.

    Numbers from 0 before the names, as Teachable Machine writes them, are left out:

    >>> read_class_names("0 cats\n1 big dogs\n")
    ['cats', 'big dogs']
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    split = [line.partition(" ") for line in lines]
    if all(number == str(index) and name for index, (number, _, name) in enumerate(split)):
        lines = [name for _, _, name in split]
    names = ["".join(sign for sign in line if sign.isprintable()) for line in lines]
    return names if all(0 < len(name) <= MAX_NAME for name in names) else []


def with_preset(card: ModelCard, preset: str) -> ModelCard:
    """A card with the preprocessing of one of ``PRESETS``, at the size that it has.

    Raises:
        CardError: there is no such preset, or it does not fit the card's channels.
    """
    if preset not in PRESETS:
        raise CardError(f"There is no preset {preset!r}. Choose from {', '.join(PRESETS)}.")
    return changed(card, preprocessing=card.preprocessing.model_dump() | PRESETS[preset])


def read_card(path: str | Path) -> ModelCard:
    """Reads and checks one card.

    Raises:
        CardError: the file cannot be read, is not JSON, or a field is wrong; the
            message names the file and the field.
    """
    path = Path(path)
    try:
        data = json.loads(read_small_file(path, MAX_CARD_BYTES).decode())
    except OSError as error:
        raise CardError(f"The card {path.name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CardError(f"The card {path.name} is not valid JSON: {error}.") from error
    try:
        return ModelCard.model_validate(data)
    except ValidationError as error:
        raise CardError(_explain(path.name, error)) from error


def write_card(card: ModelCard, path: str | Path) -> None:
    """Writes a card as readable JSON."""
    Path(path).write_text(card_text(card), encoding="utf-8")


def card_text(card: ModelCard) -> str:
    """A card as readable JSON."""
    return json.dumps(card.model_dump(), indent=2, ensure_ascii=False) + "\n"


def changed(card: ModelCard, **fields: Any) -> ModelCard:
    """A card with other values in some fields, checked as a whole.

    Raises:
        CardError: a field is wrong; the message names it.
    """
    try:
        return ModelCard.model_validate(card.model_dump() | fields)
    except ValidationError as error:
        raise CardError(_explain(repr(card.title), error)) from error


def _explain(name: str, error: ValidationError) -> str:
    problems = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"]) or "the whole card"
        problem = item["msg"].removeprefix("Value error, ")
        problems.append(f"{field}: {problem[0].lower()}{problem[1:]}")
    return f"The card {name} needs a correction. " + "; ".join(problems) + "."
