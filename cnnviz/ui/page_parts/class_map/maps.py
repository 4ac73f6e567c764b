"""The maps of the page on class activation maps."""

from __future__ import annotations

from cnnviz.results import ClassActivationMap
from cnnviz.traces import StagedExplanation
from cnnviz.ui.scene import Scene


def class_maps(
    scene: Scene,
    answer: StagedExplanation,
    target: str,
    method: str,
    layer: str | None,
    against: str | None,
) -> dict[str, ClassActivationMap]:
    """The maps of the most probable classes, and of the chosen one, by class.

    Args:
        scene: model and photo.
        answer: what the network says; its maps are not computed again.
        target: the chosen class.
        method: the chosen method.
        layer: the chosen layer, for methods that let it be chosen.
        against: the class that they are set against, which has no map then; None if none is chosen.
    """
    first = answer.explanation.maps[0]
    likely = tuple(cam.target for cam in answer.explanation.maps if cam.target != against)
    missing = () if target in likely else (target,)
    if against is None and first.method == method and layer in {None, first.layer}:
        found = answer.explanation.maps
        if missing:
            found += scene.staged(missing).explanation.maps
    else:
        found = scene.explanation(likely, method, layer, against).maps if likely else ()
        if missing:
            found += scene.explanation(missing, method, layer, against).maps
    return {cam.target: cam for cam in found}
