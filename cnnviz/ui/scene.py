"""What a page is about."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from cnnviz.cards import ModelCard
from cnnviz.results import Outline
from cnnviz.serving.model_files import ModelFile
from cnnviz.ui import ask
from cnnviz.ui.sidebar.photos import Photo


@dataclass(frozen=True)
class Scene:
    """What a page is about: a model and a photo."""

    model: ModelFile
    photo: Photo

    @functools.cached_property
    def outline(self) -> Outline:
        """What there is to see in the network; who asks first waits until it is loaded."""
        return ask.outline(self.model)

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.outline.card
