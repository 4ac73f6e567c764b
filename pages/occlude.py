"""Occlude: which parts of a photo the network needs for its answer."""

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts.occlude import page

scene = shell.enter(
    "What does the network need?",
    "Paint over the photo, or keep only a part of it: the network answers again after each stroke.",
    runs_photo=True,
)
page.draw(scene)
parts.about(scene)
