"""The model and the photo of a page, and the questions about them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from cnnviz.arrays import Floats
from cnnviz.attribution.details import CELLS
from cnnviz.cards import ModelCard, Preprocessing
from cnnviz.photos.preprocessing import NetworkView
from cnnviz.results import ClassActivationMap, Explanation, Filters, Outline, PartSearch
from cnnviz.serving.model_files import ModelFile
from cnnviz.traces import StagedExplanation, ValueTrace
from cnnviz.ui import ask
from cnnviz.ui.loaded_photo import LoadedPhoto


@dataclass(frozen=True)
class Scene:
    """A model and a photo, and the questions about them.

    Attributes:
        model: the model's file.
        photo: the photo.
        card: takes the place of the model's own card; None for that one. The card in use is
            that of the outline.
    """

    model: ModelFile
    photo: LoadedPhoto
    card: ModelCard | None = None

    @functools.cached_property
    def outline(self) -> Outline:
        """The layers of the network; the first question waits until it is loaded."""
        return ask.outline(self.model, self.card)

    @property
    def needs_preset(self) -> bool:
        """Whether a person must say which values the network takes before it is run on a photo."""
        # A card beside the model says it; then the network need not be loaded to know.
        return not self.model.card_modified and self.outline.card.preprocessing.scaling == "unknown"

    @property
    def preprocessing(self) -> Preprocessing:
        """How the photo becomes the network's input, and where a map belongs on it."""
        return self.photo.seen_by(self.outline.card.preprocessing)

    def filters(self, layer: str) -> Filters:
        """A convolution's kernels, biases and statistics."""
        return ask.filters(self.model, layer)

    def activations(self, layer: str) -> Floats:
        """A layer's output for the photo: (h, w, K), or (K,)."""
        return ask.activations(self.model, self.card, self.photo, layer)

    def explanation(
        self,
        targets: tuple[str, ...] = (),
        method: str | None = None,
        layer: str | None = None,
        against: str | None = None,
        detail: str = CELLS,
    ) -> Explanation:
        """The prediction for the photo, and a map for each target or for the predicted class."""
        return ask.explanation(
            self.model, self.card, self.photo, targets, method, layer, against, detail
        )

    def staged(self, targets: tuple[str, ...] = ()) -> StagedExplanation:
        """The photo's way through the network, with maps of classes, or of the five likeliest."""
        return ask.staged(self.model, self.card, self.photo, targets)

    @property
    def is_staged(self) -> bool:
        """Whether ``staged`` without targets has its answer already, and no page waits for it."""
        return ask.known_staged(self.model, self.card, self.photo) is not None

    def trace(self, layer: str, row: int, column: int, channel: int) -> ValueTrace:
        """Where one value of a layer comes from."""
        return ask.trace_value(self.model, self.card, self.photo, layer, row, column, channel)

    def trace_map(self, cam: ClassActivationMap, row: int, column: int) -> ValueTrace:
        """Where one cell of a class activation map comes from."""
        return ask.trace_class_map(self.model, self.card, self.photo, cam, row, column)

    def explain_view(self, changed: NetworkView, targets: tuple[str, ...]) -> Explanation:
        """``explanation`` of a changed view of the photo; it is kept nowhere."""
        return ask.explain_view(self.model, self.card, changed, targets)

    def search_part(
        self, search: PartSearch | None, keep: bool, side: int, filling: str
    ) -> PartSearch:
        """The next step of a search for a part of the photo; None begins one."""
        return ask.search_part(self.model, self.card, self.view(), search, keep, side, filling)

    def view(self) -> NetworkView:
        """The photo as the network sees it."""
        return ask.view(self.photo, self.outline.card.preprocessing)
