"""Explore: a photo's way through a network, on one screen."""

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts.explore import page

scene = shell.enter("", "", runs_photo=True)
page.draw(scene)
parts.about(scene)
