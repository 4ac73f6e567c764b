"""What an engine gives: the values of a pass, and what is known of a network's graph."""

from __future__ import annotations

from dataclasses import dataclass, field

from cnnviz.arrays import Floats
from cnnviz.networks.topology import Topology

# The part of a card that a run depends on: output, height, width, channels.
View = tuple[str | None, int, int, int]


@dataclass(frozen=True)
class DenseStep:
    """A dense layer between flattened maps and the dense layer that gives the scores.

    Attributes:
        dense: its path.
        output: path of the layer that gives its result, after the activation.
        relu: whether the activation is a ReLU; else there is none.
    """

    dense: str
    output: str
    relu: bool


@dataclass(frozen=True)
class Head:
    """How a network ends.

    Attributes:
        activation: of the output: ``softmax``, ``sigmoid``, ``linear`` or another name;
            ``combined`` where outputs of softmax or sigmoid are averaged or joined.
        dense: path of the dense layer that gives the scores, or of the 1×1 convolution that
            takes its place; None where there is none.
        features: path of the maps that are averaged straight into that dense layer; without
            one, of the maps whose averages are the scores: one map a class. None where the
            network ends otherwise.
        last_spatial: path of the last layer whose output is a stack of maps, or None.
        flattened: path of the maps that are flattened into dense layers, of which ``dense`` is
            the last; None where the network ends otherwise.
        hidden: whether there are other layers between that flatten and ``dense``.
        steps: these layers, the first one first; () where they are not dense layers with a ReLU or
            without an activation alone.
    """

    activation: str
    dense: str | None
    features: str | None
    last_spatial: str | None
    flattened: str | None = None
    hidden: bool = False
    steps: tuple[DenseStep, ...] = ()

    @property
    def dense_layers(self) -> tuple[str, ...]:
        """Paths of ``dense`` and of the steps before it."""
        last = () if self.dense is None else (self.dense,)
        return (*(step.dense for step in self.steps), *last)

    def weighs(self, path: str) -> bool:
        """Whether each cell of these maps has one weight in the score of a class, fixed by it."""
        return path == self.features or (path == self.flattened and not self.hidden)


@dataclass(frozen=True)
class GraphFacts:
    """What tracing a network's graph shows.

    Attributes:
        head: how the network ends.
        makers: for a layer with maps, the path of the convolution that made its channels.
        batch_size: how many photos may be run at once, so that all their values together are no
            more than one photo of the largest network may have; 16 at most.
        topology: the calls of the network, as plain data.
    """

    head: Head
    makers: dict[str, str]
    batch_size: int
    topology: Topology


@dataclass(frozen=True)
class PassValues:
    """The values of one run of a network on N photos, all float32.

    Attributes:
        output: (N, C).
        logits: (N, C); None where they cannot be determined.
        features: (N, h, w, K) at ``Head.features``; None where there are none.
        layers: the outputs of the layers that were asked for: {path: (N, ...)}, maps as
            (N, h, w, K).
        scores: (N,) of the class whose gradients were asked for: its logit, or its output where
            there is no logit.
        gradients: of ``scores`` with respect to those layers' outputs: {path: (N, ...)}.
    """

    output: Floats
    logits: Floats | None = None
    features: Floats | None = None
    layers: dict[str, Floats] = field(default_factory=dict)
    scores: Floats | None = None
    gradients: dict[str, Floats] = field(default_factory=dict)
