"""The answer that the first page of a new server shows, asked for before a browser asks."""

from __future__ import annotations

import logging

from cnnviz.errors import CnnvizError
from cnnviz.ui import ask
from cnnviz.ui.sidebar import library, photos

_log = logging.getLogger(__name__)


def answer_first_photo() -> None:
    """Has the first network explain its first sample; what is wrong with either is for the page.

    The answer is kept as any other, by what was asked: once the model's file has changed it is
    another question.
    """
    models = library.models()
    if not models:
        return
    try:
        ask.stage_ahead(models[0], photos.first_sample(models[0]))
    except CnnvizError as error:
        _log.info("The first photo is not explained ahead: %s", error)
