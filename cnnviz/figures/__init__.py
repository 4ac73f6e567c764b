"""Arrays to Plotly figures. This room draws: it computes no map and runs no network.

Grids of channels and photos travel as pictures, since a browser paints one picture faster
than hundreds of traces; a single map travels as raw float32 values, so that the value under
the mouse is the value that was computed. A cell that is not a number stays empty.
"""

from cnnviz.figures.bars import confidence_bars
from cnnviz.figures.curves import learning_curve
from cnnviz.figures.frame import BAR_SPACE, CHART_CONFIG, css_height
from cnnviz.figures.grids import channel_grid
from cnnviz.figures.maps import evidence_maps, heatmap
from cnnviz.figures.photos import Picture, map_overlay, photo_figure, picture
from cnnviz.figures.stages import Stage, architecture

__all__ = [
    "BAR_SPACE",
    "CHART_CONFIG",
    "Picture",
    "Stage",
    "architecture",
    "channel_grid",
    "confidence_bars",
    "css_height",
    "evidence_maps",
    "heatmap",
    "learning_curve",
    "map_overlay",
    "photo_figure",
    "picture",
]
