"""The terms of the field, each in one sentence, shown where a page's text first has it."""

from __future__ import annotations

import html
import re

TERMS = {
    "activation": "The number that a unit of a layer answers with: the larger, the more its "
    "pattern is there.",
    "batch normalization": "A layer that shifts and scales each channel, so that its values stay "
    "in a range in which training works well.",
    "bias": "A number that is added to a weighted sum, whatever the input is.",
    "channel": "One of the maps that a layer gives side by side, such as red, green and blue in a "
    "photo.",
    "class": "One of the answers that the network can give, such as “cat”.",
    "class activation map": "A map of where in the photo the evidence for a class is.",
    "convolution": "A layer that slides small kernels over its input, and looks for their "
    "patterns everywhere.",
    "dense layer": "A layer in which every output is a weighted sum of all inputs.",
    "depthwise convolution": "A convolution in which each kernel sees one channel alone.",
    "epoch": "One round of training, in which the network sees every training photo once.",
    "evidence": "What a place in the photo adds to a class, or takes from it.",
    "feature map": "The answers of one filter at every place of its input: bright where its "
    "pattern is.",
    "filter": "A set of weights that a convolution slides over its input to find one pattern.",
    "Grad-CAM": "A class activation map for any network: each channel counts as much as the "
    "class's score changes with it.",
    "kernel": "A small grid of weights, such as 3 × 3, that is multiplied with a patch of the "
    "input and summed.",
    "layer": "One step of the network: it takes the maps before it, and makes new ones.",
    "logit": "The score of a class before it becomes a probability; above zero speaks for it.",
    "overfitting": "When a network learns its training photos by heart, and does worse on others.",
    "padding": "Zeros around the input, so that a kernel fits at the edges, too.",
    "pooling": "A layer that shrinks maps: it keeps the largest value, or the mean, of each patch.",
    "probability": "A share between 0 and 100 % that says how sure the network is of a class.",
    "receptive field": "The part of the photo that can change the value of one cell of a layer.",
    "ReLU": "A step that keeps positive values, and makes negative ones zero.",
    "softmax": "The step that turns the scores of all classes into probabilities that sum to 1.",
    "stride": "By how many cells a kernel moves on; with 2 the map becomes half as wide.",
    "weight": "A number that the network has learned in training, and multiplies its input with.",
}

_BY_NAME = {name.lower(): text for name, text in TERMS.items()}
# The longest first: a class activation map is no class.
_ANY = re.compile(
    rf"\b({'|'.join(sorted(map(re.escape, TERMS), key=len, reverse=True))})(e?s)?\b", re.IGNORECASE
)


def explained(text: str) -> str:
    """A text as HTML, in which the first occurrence of each term has its explanation.

    It appears under the mouse, and at the keyboard's focus. Nothing in `text` is markup.

    >>> print(explained("A stride of 2 < 3"))
    A <abbr tabindex="0" title="By how many cells a kernel moves on; with 2 the map becomes half as wide.">stride</abbr> of 2 &lt; 3
    """  # noqa: E501
    left = dict(_BY_NAME)

    def mark(match: re.Match[str]) -> str:
        explanation = left.pop(match[1].lower(), None)
        if explanation is None:
            return match[0]
        return f'<abbr tabindex="0" title="{html.escape(explanation)}">{match[0]}</abbr>'

    return _ANY.sub(mark, html.escape(text, quote=False))
