"""The lessons, in the order in which they build on each other."""

from cnnviz.ui.page_parts.lessons import (
    attention,
    class_maps,
    colour_planes,
    filters,
    pooling,
    trust,
)

LESSONS = (
    colour_planes.LESSON,
    filters.LESSON,
    pooling.LESSON,
    class_maps.LESSON,
    attention.LESSON,
    trust.LESSON,
)
