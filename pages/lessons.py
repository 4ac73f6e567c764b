"""Lessons: one question after the other, a guess before each answer."""

from cnnviz.ui import parts, shell
from cnnviz.ui.page_parts.lessons import contents, frame

scene = shell.enter("", "", runs_photo=True)
frame.draw(scene, contents.LESSONS)
parts.about(scene)
