"""Maximise: the pictures that excite a channel or a class most."""

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts.maximise import page

scene = shell.enter(
    "What excites it most?",
    "A picture that starts as noise is changed step by step, until it excites one channel of a "
    "layer, or one class, as much as it can.",
    runs_photo=True,
)
page.draw(scene)
parts.about(scene)
