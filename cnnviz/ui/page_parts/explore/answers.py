"""The answer that the walk shows: with the class that a person has asked for besides."""

from __future__ import annotations

from cnnviz.traces import StagedExplanation
from cnnviz.ui import choices
from cnnviz.ui.scene import Scene

_MOST_CLASSES = 5
# The parameter of the choice; it is not in the address.
_CLASS = "explored"


def on_screen(scene: Scene) -> StagedExplanation:
    """The photo's way, with maps of the likeliest classes and of the one that was asked for."""
    staged = scene.staged()
    wanted = choices.kept(_CLASS, _scope(scene))
    likely = [cam.target for cam in staged.explanation.maps]
    if wanted and wanted[0] in staged.explanation.prediction.labels and wanted[0] not in likely:
        return scene.staged((*likely[: _MOST_CLASSES - 1], wanted[0]))
    return staged


def ask_for(scene: Scene, label: str) -> None:
    """Has a class that is not among the likeliest take the place of the last of them."""
    choices.put(_CLASS, label, _scope(scene))


def _scope(scene: Scene) -> str:
    return f"{scene.model.name} {scene.photo.seen_key}"
