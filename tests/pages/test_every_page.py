"""Every page with every shipped network: its texts, and the numbers of its figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import chelsea

from cnnviz.cards import card_path, read_card
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.samples import samples
from cnnviz.serving import workers
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.settings import ROOT

TITLES = {
    "explore": None,
    "network": "How is the network built?",
    "filters": "What does a layer look for?",
    "activations": "What does each layer answer?",
    "class_activation_map": "Where is the evidence for a class?",
}
SHIPPED = sorted(path.stem for path in (ROOT / "models").glob("*.keras"))


def file_of(model: str) -> ModelFile:
    return model_file(ROOT / "models" / f"{model}.keras")


def first_photo(model: str) -> np.ndarray:
    """The sample that a page shows first with a model."""
    return open_photo(next(one.path for one in samples() if model in one.models))


def test_there_are_four_shipped_networks() -> None:
    assert SHIPPED == ["cat_dog", "cat_dog_lesson", "imagenet_efficientnet_lite0", "mnist_cnn"]


@pytest.mark.parametrize("model", SHIPPED)
@pytest.mark.parametrize("page", TITLES)
def test_a_page_opens_and_names_its_network(visit: Any, page: str, model: str) -> None:
    seen = visit(page, model=model).fine()
    card = read_card(card_path(ROOT / "models" / f"{model}.keras"))
    assert [one.value for one in seen.app.title] == ([TITLES[page]] if TITLES[page] else [])
    assert seen.chosen("Network") == model
    assert card.title in seen.text
    assert f"Licence: {card.licence}" in seen.text.replace("**", "")
    assert "inferred" not in seen.text


@pytest.mark.parametrize(
    ("model", "sample", "answer"),
    [
        ("imagenet_efficientnet_lite0", "coffee", "espresso"),
        ("cat_dog", "dog", "dog"),
        *[("mnist_cnn", f"digit-{digit}", str(digit)) for digit in range(0, 10, 3)],
    ],
)
def test_a_sample_of_a_link_is_explained(visit: Any, model: str, sample: str, answer: str) -> None:
    seen = visit(model=model, sample=sample).fine()
    assert (seen.answer, seen.walk["sample"]) == (answer, sample)


@pytest.mark.parametrize("model", SHIPPED)
def test_explore_shows_what_the_network_computed(visit: Any, model: str) -> None:
    walk = visit(model=model).fine().walk
    staged = workers.explain_stages(file_of(model), first_photo(model))
    best = staged.explanation.prediction.top(5)
    assert [one["label"] for one in walk["classes"]] == [score.label for score in best]
    for shown, score in zip(walk["classes"], best, strict=True):
        assert percent_of(shown["answer"]) == pytest.approx(score.probability, abs=5.1e-4)
    maps = np.stack([cam.values for cam in staged.explanation.maps])
    np.testing.assert_allclose(walk["maps"], maps, atol=1e-4)
    assert walk["limit"] == pytest.approx(np.abs(maps).max())
    for column, stage in zip(walk["stages"], staged.stages, strict=True):
        assert (column["path"], column["channels"]) == (stage.path, list(stage.order))
        # Three digits of each value.
        largest = np.abs(stage.maps).max()
        expected = np.moveaxis(stage.maps, -1, 0)
        np.testing.assert_allclose(column["values"], expected, rtol=6e-4, atol=1e-4 * largest)
    terms = walk["terms"]
    for row, one in enumerate(staged.terms):
        listed = sum(terms["products"][row][place] for place in terms["order"][row])
        total = listed + terms["rest"][row] + terms["bias"][row]
        assert total == pytest.approx(terms["score"][row], abs=1e-4)
        assert [terms["numbers"][place] for place in terms["order"][row]] == list(one.order)


def percent_of(text: str) -> float:
    return float(text.lstrip("<> ").removesuffix(" %")) / 100


def test_the_crop_follows_a_link_and_a_drag(visit: Any) -> None:
    """The middle of the kitten, then its left: another part, another answer."""
    seen = visit(model="cat_dog", sample="kitten").fine()
    left, top, width, height = seen.walk["photo"]["seen"]
    assert (seen.walk["photo"]["free"], left, top) == ("x", (1 - width) / 2, 0)
    moved = visit(model="cat_dog", sample="kitten", crop="0,0.5").fine()
    assert moved.walk["photo"]["seen"] == pytest.approx([0, top, width, height])
    assert not np.allclose(moved.walk["maps"], seen.walk["maps"])
    assert moved.app.query_params["crop"] == "0,0.5"
    wrong = visit(model="cat_dog", sample="kitten", crop="2,x").fine()
    assert "crop of the photo that is none" in wrong.text
    np.testing.assert_allclose(wrong.walk["maps"], seen.walk["maps"])


@pytest.mark.parametrize("model", SHIPPED)
def test_network_lists_every_layer(visit: Any, model: str) -> None:
    seen = visit("network", model=model).fine()
    outline = workers.outline(file_of(model))
    table = seen.app.dataframe[0].value
    assert list(table["Layer"]) == [layer.path for layer in outline.layers]
    assert table["Parameters"].sum() == outline.parameters
    assert f"Parameters: {outline.parameters:,}" in seen.text
    assert f"Classes: {len(outline.card.labels):,}" in seen.text
    drawn = {
        point[0] for trace in seen.figure("architecture")["data"] for point in trace["customdata"]
    }
    assert {layer.path for layer in outline.layers if layer.kernel_shape} <= drawn


def test_the_maps_of_the_digits_network_shrink_and_multiply(visit: Any) -> None:
    seen = visit("network", model="mnist_cnn")
    shapes = [one["text"] for one in seen.figure("architecture")["layout"]["annotations"]]
    assert {"28×28×1", "26×26×32", "24×24×64"} <= set(shapes)
    assert "Input: 28 × 28 × 1" in seen.text


def test_each_number_of_a_filter_has_its_scope(visit: Any) -> None:
    """The nine weights of one kernel, and the weights of the filter for all 32 inputs, in NumPy."""
    model, number, channel = "mnist_cnn", 7, 5
    link = {"layer": "conv2", "filter": str(number), "input": str(channel)}
    seen = visit("filters", model=model, **link).fine()
    kernels = workers.filters(file_of(model), "conv2").kernels.astype(np.float64)
    kernel, filter_ = kernels[:, :, channel, number], kernels[..., number]
    assert (kernel.size, filter_.size) == (9, 288)
    norms = np.linalg.norm(kernels.reshape(9, 32, 64), axis=0)[channel]
    filter_norms = np.linalg.norm(kernels.reshape(288, 64), axis=0)
    ranks = [int((one > one[number]).sum()) + 1 for one in (norms, filter_norms)]
    rows = {
        "Weights": ["this 3×3 kernel, input 5", "whole filter, all 32 inputs"],
        "Smallest": [f"{one.min():.4g}" for one in (kernel, filter_)],
        "Largest": [f"{one.max():.4g}" for one in (kernel, filter_)],
        "Norm": [f"{one[number]:.4g}" for one in (norms, filter_norms)],
        "Rank by norm": [f"{rank} of 64" for rank in ranks],
    }
    for label, cells in rows.items():
        assert f"| {' | '.join([label, *cells])} |" in seen.text
    assert filter_norms[number] > 2 * norms[number]

    def text(value: float) -> str:
        return f"{value:.3g}".replace("-", "−")

    tiles = seen.tiles("all filters")
    assert tiles["sentences"][number].split("\n") == [
        f"Filter {number}",
        f"this 3×3 kernel, input 5: {text(kernel.min())} to {text(kernel.max())}, "
        f"norm {text(norms[number])}, rank {ranks[0]} of 64",
        f"whole filter, all 32 inputs: {text(filter_.min())} to {text(filter_.max())}, "
        f"norm {text(filter_norms[number])}, rank {ranks[1]} of 64",
    ]
    assert tiles["label"] == "64 filters of conv2, input 5"
    np.testing.assert_allclose(tiles["values"], np.moveaxis(kernels[:, :, channel], -1, 0))
    assert seen.outlined("all filters") == number


@pytest.mark.parametrize("model", SHIPPED)
def test_filters_shows_the_weights_themselves(visit: Any, model: str) -> None:
    seen = visit("filters", model=model).fine()
    weights = workers.filters(file_of(model), seen.chosen("Layer"))
    np.testing.assert_array_equal(seen.values("one filter"), weights.kernels[:, :, 0, 0])
    assert f"All {weights.kernels.size:,} weights of the layer" in seen.text
    count = weights.kernels.shape[3]
    assert seen.tiles("all filters")["label"].startswith(f"{count} filters of {weights.layer}")
    assert len(seen.app.get("download_button")) in {2, 3}


@pytest.mark.parametrize("model", SHIPPED)
def test_activations_shows_the_most_activated_channel_first(visit: Any, model: str) -> None:
    seen = visit("activations", model=model).fine()
    (layer,) = seen.chosen("Layers")
    maps = workers.activations(file_of(model), first_photo(model), [layer])[layer]
    best = int(maps.max(axis=(0, 1)).argmax())
    assert seen.chosen("Channel") == best
    np.testing.assert_allclose(seen.values(f"channel:{layer}"), maps[..., best], atol=1e-4)
    tiles = seen.tiles("activations 0")
    order = np.argsort(-maps.max(axis=(0, 1)), kind="stable")
    assert tiles["names"] == [f"#{channel}" for channel in order]
    expected = np.moveaxis(maps[..., order], -1, 0)
    # Three digits of each value.
    np.testing.assert_allclose(tiles["values"], expected, rtol=6e-4, atol=1e-4)
    assert seen.outlined("activations 0") == 0
    dead = int((maps.reshape(-1, maps.shape[-1]) == 0).all(axis=0).sum())
    text = f"{dead} of {maps.shape[-1]} channels" if dead else f"All {maps.shape[-1]} channels"
    assert text in seen.text


def test_a_further_layer_shows_a_channel_once_it_is_chosen(visit: Any) -> None:
    layers = ["stem_act", "top_act"]
    seen = visit("activations", model="cat_dog", layer=layers).fine()
    assert seen.values("channel:stem_act").shape == (112, 112)
    assert "Click on a channel to look closer." in seen.text
    with pytest.raises(AssertionError, match="no 'channel:top_act'"):
        seen.values("channel:top_act")
    link = {"layer": layers, "channel of top_act": "7"}
    seen = visit("activations", model="cat_dog", **link).fine()
    file, photo = file_of("cat_dog"), first_photo("cat_dog")
    maps = workers.activations(file, photo, ["top_act"])["top_act"]
    np.testing.assert_allclose(seen.values("channel:top_act"), maps[..., 7], atol=1e-4)


@pytest.mark.parametrize("model", SHIPPED)
def test_the_map_of_any_class_is_that_of_the_api(visit: Any, model: str) -> None:
    seen = visit("class_activation_map", model=model).fine()
    labels = read_card(card_path(ROOT / "models" / f"{model}.keras")).labels
    predicted = seen.chosen("Class")
    for target in (predicted, labels[1] if predicted == labels[0] else labels[0]):
        seen.choose("Class", target).fine()
        answer = workers.explain(file_of(model), first_photo(model), (target,)).maps[0]
        np.testing.assert_allclose(seen.values("map alone"), answer.values, atol=1e-4)
        assert f"for “{target}”" in seen.title("overlay")
        assert f"{answer.score:.3f}" in seen.text
    assert seen.app.query_params["class"] == target


def test_grad_cam_on_a_chosen_layer_is_that_of_the_api(visit: Any) -> None:
    model = "imagenet_efficientnet_lite0"
    seen = visit("class_activation_map", model=model).choose("Method", "grad-cam").fine()
    layers = [layer.path for layer in workers.outline(file_of(model)).layers if layer.spatial]
    chosen = layers[len(layers) // 2]
    seen.choose("Layer", chosen).fine()
    answer = workers.explain(file_of(model), chelsea(), method="grad-cam", layer=chosen).maps[0]
    np.testing.assert_allclose(seen.values("map alone"), answer.values, atol=1e-4)
    assert "Grad-CAM" in seen.title("overlay")
    assert chosen in seen.title("map alone")


def test_a_map_that_is_mostly_against_its_class_is_shown_with_both_signs(visit: Any) -> None:
    """Digit 0: with Grad-CAM −0.453 on the stroke, and 0.003 in a corner that is empty."""
    link = {"model": "mnist_cnn", "sample": "digit-0"}
    seen = visit("class_activation_map", **link).fine()
    assert seen.chosen("Method") == "hires-cam"
    assert not seen.chosen("Show the evidence against it, too")
    assert "Sum of the map 12.888; the score is 13.044" in seen.text
    assert "to first order" in seen.text
    seen.choose("Method", "grad-cam").fine()
    assert seen.chosen("Show the evidence against it, too")
    assert "speaks mostly against it" in seen.text
    assert "(−0.453); the evidence for it is at most +0.00326" in seen.text
    (trace,) = [one for one in seen.figure("overlay")["data"] if one["type"] == "heatmap"]
    assert trace["zmin"] == -trace["zmax"] == pytest.approx(-0.453, abs=1e-3)
    # Switched off, and on another class, of which the choice is another one.
    seen.choose("Show the evidence against it, too", False).fine()
    (trace,) = [one for one in seen.figure("overlay")["data"] if one["type"] == "heatmap"]
    assert (trace["zmin"], trace["zmax"]) == (0, pytest.approx(0.453, abs=1e-3))
    assert seen.app.query_params["against"] == "False"
    seen.choose("Method", "hires-cam").fine()
    assert "against" not in seen.app.query_params


def test_a_map_that_says_nothing_is_named_once(visit: Any) -> None:
    """At the input of the first convolution nothing is weighed: a black photo."""
    seen = visit("class_activation_map", model="mnist_cnn", layer="image")
    seen.upload("black.png", encode_png(np.zeros((28, 28, 3), np.uint8))).fine()
    assert seen.text.count("is zero everywhere") == 1
    (trace,) = [one for one in seen.figure("overlay")["data"] if one["type"] == "heatmap"]
    assert not trace["showscale"]
    seen.turn_to("explore").fine()


def test_the_contrastive_map_is_that_of_the_api(visit: Any) -> None:
    model = "imagenet_efficientnet_lite0"
    seen = visit("class_activation_map", model=model).choose("Method", "contrastive-cam").fine()
    answer = workers.explain(file_of(model), chelsea(), method="contrastive-cam").maps[0]
    np.testing.assert_allclose(seen.values("map alone"), answer.values, atol=1e-4)
    assert "less the mean logit of the other classes" in seen.text
