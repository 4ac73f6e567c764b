"""Every page with every shipped network: its texts, and the numbers of its figures."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from helpers import chelsea

from cnnviz.arrays import steps
from cnnviz.attribution.faithfulness import MEASURES, map_score
from cnnviz.attribution.series import SeriesQuestion
from cnnviz.attribution.trust import cell_drops, judge_drops, losses
from cnnviz.cards import read_card
from cnnviz.colours import table
from cnnviz.numerals import percent
from cnnviz.photos.decoding import open_photo
from cnnviz.photos.encoding import encode_png
from cnnviz.photos.samples import samples
from cnnviz.serving import workers
from cnnviz.serving.model_files import ModelFile, model_file
from cnnviz.settings import ROOT
from cnnviz.storage import card_path
from cnnviz.traces import ClassTerms
from cnnviz.ui.components import comparison
from tests.pages.conftest import numbers

TITLES = {
    "explore": None,
    "network": "How is the network built?",
    "filters": "What does a layer look for?",
    "activations": "What does each layer answer?",
    "maximise": "What excites it most?",
    "class_activation_map": "Where is the evidence for a class?",
    "occlude": "What does the network need?",
    "compare": "How do the maps differ?",
    "lessons": "What do you want to find out?",
}
SHIPPED = sorted(path.stem for path in (ROOT / "models").glob("*.keras"))


def file_of(model: str) -> ModelFile:
    return model_file(ROOT / "models" / f"{model}.keras")


def first_photo(model: str) -> np.ndarray:
    """The sample that a page shows first with a model."""
    return open_photo(next(one.path for one in samples() if model in one.models))


# Every page with a network of colour photos and one of grey digits, every network with one page.
_VISITS = [(page, model) for page in TITLES for model in ("cat_dog", "mnist_cnn")]
_VISITS += [("network", model) for model in SHIPPED if model not in {"cat_dog", "mnist_cnn"}]


@pytest.mark.parametrize(("page", "model"), _VISITS)
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
    assert f"**{outline.parameters:,}** parameters" in seen.text
    assert f"**{len(outline.card.labels):,}** classes" in seen.text
    # Beside the map: the first convolution, and the maps of it that vary most.
    first = next(layer for layer in outline.layers if layer.kernel_shape)
    assert seen.chosen("Layer") == first.path
    photo = first_photo(model)
    maps = workers.activations(file_of(model), photo, [first.path])[first.path]
    best = np.argsort(-maps.std(axis=(0, 1)), kind="stable")[:8]
    drawn = np.moveaxis(maps[..., best], -1, 0)
    sent = seen.tiles("maps")["values"]
    step = -(-maps.shape[0] // sent.shape[1])
    if step == 1:
        np.testing.assert_allclose(sent, drawn, rtol=1e-3, atol=1e-3 * np.abs(maps).max())
    # What a residual block adds up, in the table and as buttons.
    if "block2b_add" in list(table["Layer"]):
        read = table[table["Layer"] == "block2b_add"].iloc[0]["Reads"].split(", ")
        assert read == ["block2b_project_bn", "block2a_project_bn"]
        seen.choose("Layer", "block2b_add").fine()
        assert {f"Reads {path}" for path in read} <= {one.key for one in seen.app.button}
        assert "56 × 56 × 24 and 56 × 56 × 24 → 56 × 56 × 24" in seen.text


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
        f"Filter {number}": ["this 3×3 kernel, input 5", "whole filter, all 32 inputs"],
        "Smallest": [f"{one.min():.4g}".replace("-", "−") for one in (kernel, filter_)],
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
    shown = [numbers(one["z"]) for one in seen.figure("one filter")["data"]]
    np.testing.assert_array_equal(np.stack(shown, axis=-1), weights.kernels[..., 0])
    # Those of a photo's colours together, as red, green and blue.
    drawn, inputs = seen.tiles("all filters"), weights.kernels.shape[2]
    expected = weights.kernels if inputs == 3 else weights.kernels[:, :, 0]
    np.testing.assert_allclose(drawn["values"], np.moveaxis(expected, -1, 0), rtol=6e-4, atol=1e-4)
    low, high = drawn["limits"]
    assert low == -high == pytest.approx(-np.abs(weights.kernels).max())
    assert ("in colour" in drawn["label"]) == (inputs == 3)
    assert f"All {weights.kernels.size:,} weights of the layer" in seen.text
    count = weights.kernels.shape[3]
    assert seen.tiles("all filters")["label"].startswith(f"{count} filters of {weights.layer}")
    assert len(seen.app.get("download_button")) in {2, 3}


def test_a_filter_of_one_cell_ranks_its_inputs_beside_their_maps(visit: Any) -> None:
    """The weights, the sum of the rest, and the first map as a picture, from the library."""
    model, layer, number = "cat_dog", "block2a_project_conv", 7
    seen = visit("filters", model=model, layer=layer, filter=str(number)).fine()
    weights = workers.filters(file_of(model), layer).kernels[0, 0]
    figure, filter_ = seen.figure("sum of the inputs"), weights[:, number]
    order = np.argsort(-np.abs(filter_), kind="stable")
    np.testing.assert_allclose(numbers(figure["data"][0]["x"]), filter_[order[:8]])
    texts = [one["text"] for one in figure["layout"]["annotations"]]
    rest = f"{filter_[order[8:]].sum():+.3g}".replace("-", "−")
    assert texts[:2] == [f"input {order[0]}", f"{filter_[order[0]]:+.3g}".replace("-", "−")]
    assert texts[-2:] == [f"the other {len(filter_) - 8}, summed", rest]
    np.testing.assert_array_equal(seen.values("one filter").ravel(), filter_)
    np.testing.assert_allclose(
        seen.tiles("all filters")["values"][number].ravel(), filter_, rtol=6e-4
    )
    read = "block2a_dw_act"
    assert f"the maps of {read}" in seen.text
    maps = workers.activations(file_of(model), first_photo(model), [read])[read]
    colours = table("teal")[steps(maps[..., order[0]], 0, float(maps.max()))]
    first = figure["layout"]["images"][0]["source"].partition(";base64,")[2]
    np.testing.assert_array_equal(open_photo(base64.b64decode(first)), colours)
    # An old link to one input shows that weight alone.
    seen.choose("Input channel", 3).fine()
    np.testing.assert_array_equal(seen.values("one filter"), filter_[3:4, None])


@pytest.mark.parametrize("model", SHIPPED)
def test_activations_shows_the_strongest_channels_of_a_few_layers(visit: Any, model: str) -> None:
    """The strongest differ most over the photo: by peak, flat maps come first."""
    seen = visit("activations", model=model).fine()
    layers = seen.chosen("Layers")
    assert 3 <= len(layers) <= 4
    maps = workers.activations(file_of(model), first_photo(model), layers)
    for position, layer in enumerate(layers):
        tiles, of_layer = seen.tiles(f"activations {position}"), maps[layer]
        order = np.argsort(-of_layer.std(axis=(0, 1)), kind="stable")[:8]
        assert tiles["names"] == [f"#{channel}" for channel in order]
        expected = np.moveaxis(of_layer[..., order], -1, 0)
        # Three digits of each value.
        np.testing.assert_allclose(tiles["values"], expected, rtol=6e-4, atol=1e-4)
        # One scale for all channels of a layer, those that are not drawn too.
        largest = pytest.approx(np.abs(of_layer).max(), rel=1e-4)
        assert tiles["limits"][1] == largest
        assert tiles["limits"][0] == (0 if of_layer.min() >= 0 else -tiles["limits"][1])
        assert seen.outlined(f"activations {position}") == (-1 if position else 0)
    first, of_layer = layers[0], maps[layers[0]]
    best = int(of_layer.std(axis=(0, 1)).argmax())
    assert seen.chosen("Channel") == best
    np.testing.assert_allclose(seen.values(f"channel:{first}"), of_layer[..., best], atol=1e-4)
    dead = int((of_layer.reshape(-1, of_layer.shape[-1]) == 0).all(axis=0).sum())
    count = of_layer.shape[-1]
    assert (f"{dead} of {count} channels" if dead else f"All {count} channels") in seen.text


def test_all_channels_of_one_layer_are_there_on_demand(visit: Any) -> None:
    """A link of an earlier version to one layer shows all of them at once."""
    seen = visit("activations", model="cat_dog", layer="top_act", order="peak").fine()
    maps = workers.activations(file_of("cat_dog"), first_photo("cat_dog"), ["top_act"])["top_act"]
    order = np.argsort(-maps.max(axis=(0, 1)), kind="stable")
    tiles = seen.tiles("activations 0")
    assert tiles["names"] == [f"#{channel}" for channel in order]
    seen.choose("Layers", ["stem_act", "top_act"]).choose("Channels shown", "stem_act").fine()
    assert len(seen.tiles("activations 0")["names"]) == 32
    assert seen.app.query_params["all"] == "stem_act"
    assert seen.title("channel:stem_act") == f"Channel {seen.chosen('Channel')} of stem_act"


def test_a_former_link_names_a_channel_of_a_further_layer(visit: Any) -> None:
    link = {"layer": ["stem_act", "top_act"], "channel of top_act": "7"}
    seen = visit("activations", model="cat_dog", **link).fine()
    file, photo = file_of("cat_dog"), first_photo("cat_dog")
    maps = workers.activations(file, photo, ["top_act"])["top_act"]
    np.testing.assert_allclose(seen.values("channel:top_act"), maps[..., 7], atol=1e-4)
    assert (seen.app.query_params["of"], seen.app.query_params["channel"]) == ("top_act", "7")
    assert "channel of top_act" not in seen.app.query_params


@pytest.mark.parametrize("model", SHIPPED)
def test_the_map_of_any_class_is_that_of_the_api(visit: Any, model: str) -> None:
    seen = visit("class_activation_map", model=model).fine()
    labels = read_card(card_path(ROOT / "models" / f"{model}.keras")).labels
    predicted = seen.chosen("Class")
    answers = workers.explain_stages(file_of(model), first_photo(model))
    best = answers.explanation.prediction.top(5)
    chips = seen.widget("Class").options
    assert [chip.split("**")[1] for chip in chips] == [score.label for score in best]
    assert chips[0].split("** ")[1] == percent(best[0].probability)
    limit = max(np.abs(cam.values).max() for cam in answers.explanation.maps)
    for target in (predicted, labels[1] if predicted == labels[0] else labels[0]):
        seen.choose_class(target).fine()
        assert seen.chosen("Class") == target
        answer = workers.explain_stages(file_of(model), first_photo(model), (target,))
        cam = answer.explanation.maps[0]
        # Real heatmaps: the raw values are under the mouse.
        for chart in ("overlay", "map alone"):
            np.testing.assert_allclose(seen.values(chart), cam.values, atol=1e-4)
            (trace,) = [one for one in seen.figure(chart)["data"] if one["type"] == "heatmap"]
            largest = max(limit, np.abs(cam.values).max())
            assert trace["zmax"] == -trace["zmin"] == pytest.approx(largest, rel=1e-4)
        assert f"for “{target}”" in seen.title("overlay")
        assert f"{cam.score:.3f}" in seen.text
        assert_adds_up(seen.table, answer.terms[0])
    assert seen.app.query_params["class"] == target


def assert_adds_up(table: list[list[str]], terms: ClassTerms) -> None:
    """What makes a class: mean × weight is what a row adds, and all rows are the score."""
    head, *rows, rest, bias, score = table
    numbers = [[float(cell.strip("× ").replace("−", "-")) for cell in row[1:3]] for row in rows]
    adds = [float(row[-1].replace("−", "-")) for row in (*rows, rest, bias, score)]
    assert head[-1] == "adds"
    assert [row[0].split()[1].replace(",", "") for row in rows] == [str(at) for at in terms.order]
    assert adds == pytest.approx([*terms.terms, terms.rest, terms.bias, terms.score], abs=6e-3)
    assert sum(adds[:-1]) == pytest.approx(adds[-1], abs=0.0051 * len(adds))
    for (mean, weight), product in zip(numbers, adds, strict=False):
        assert mean * weight == pytest.approx(product, rel=0.02, abs=6e-3)


def test_grad_cam_on_a_chosen_layer_is_that_of_the_api(visit: Any) -> None:
    model = "cat_dog"
    seen = visit("class_activation_map", model=model).choose("Method", "grad-cam").fine()
    layers = [layer.path for layer in workers.outline(file_of(model)).layers if layer.spatial]
    chosen = layers[len(layers) // 2]
    seen.choose("Layer", chosen).fine()
    answer = workers.explain(
        file_of(model), first_photo(model), method="grad-cam", layer=chosen
    ).maps[0]
    np.testing.assert_allclose(seen.values("map alone"), answer.values, atol=1e-4)
    assert "Grad-CAM" in seen.title("overlay")
    assert chosen in seen.title("map alone")
    seen.choose("Method", "occlusion").answered().fine()
    assert seen.chosen("Layer") == "the photo itself"


def test_a_map_that_is_mostly_against_its_class_says_so(visit: Any) -> None:
    """Digit 0: with Grad-CAM −0.453 on the stroke, and 0.003 in a corner that is empty."""
    link = {"model": "mnist_cnn", "sample": "digit-0"}
    seen = visit("class_activation_map", **link).fine()
    assert seen.chosen("Method") == "hires-cam"
    assert seen.chosen("Show evidence against it")
    assert "Sum of the map 12.888; the score is 13.044" in seen.text
    assert "to first order" in seen.text
    assert "no channel has a weight of its own for “0”" in seen.text
    seen.choose("Method", "grad-cam").fine()
    assert "speaks mostly against it" in seen.text
    assert "(−0.453); the evidence for it is at most +0.00326" in seen.text
    largest = seen.figure("side by side")["layout"]["coloraxis"]["cmax"]
    (trace,) = [one for one in seen.figure("overlay")["data"] if one["type"] == "heatmap"]
    assert trace["zmin"] == -trace["zmax"] == -largest
    assert largest == pytest.approx(0.453, abs=1e-3)
    seen.choose("Show evidence against it", False).fine()
    (trace,) = [one for one in seen.figure("overlay")["data"] if one["type"] == "heatmap"]
    assert (trace["zmin"], trace["zmax"]) == (0, largest)
    assert seen.app.query_params["against"] == "False"
    seen.choose("Show evidence against it", True).fine()
    assert "against" not in seen.app.query_params


def test_a_map_that_says_nothing_is_named_once(visit: Any) -> None:
    """At the input of the first convolution nothing is weighed: a black photo."""
    seen = visit("class_activation_map", model="mnist_cnn", layer="image")
    seen.upload("black.png", encode_png(np.zeros((28, 28, 3), np.uint8))).fine()
    assert seen.text.count("is zero everywhere") == 1
    (trace,) = [one for one in seen.figure("overlay")["data"] if one["type"] == "heatmap"]
    assert not trace["showscale"]
    seen.turn_to("explore").fine()


def test_a_map_s_scores_are_those_of_the_api_and_stay_when_one_comes_back(visit: Any) -> None:
    seen = visit("class_activation_map", model="mnist_cnn").fine()
    assert "| Score |" not in seen.text
    seen.run(seen.widget("Measure this map").click()).fine()
    (line,) = seen.app.get("progress")
    assert line.proto.text.startswith("Deletion, blurred \\(1 of ")
    seen.answered().fine()
    first, method = seen.text, seen.chosen("Method")
    cam = workers.explain(file_of("mnist_cnn"), first_photo("mnist_cnn")).maps[0]
    question = SeriesQuestion(
        "masked-photo", (cam.target,), cam.layer, shown=cam.values, method=cam.method
    )
    part = workers.run_part(file_of("mnist_cnn"), first_photo("mnist_cnn"), question, 0, 3)
    score = map_score(MEASURES["average-drop"], part.values)
    numbers = [percent(value) for value in (score.value, score.blurred, score.random)]
    row = f"| Drop in confidence | lower ↓ | **{numbers[0]}** | {numbers[1]} | {numbers[2]} |"
    assert row in first
    assert len(seen.figure("curves deletion-blur")["data"]) == 3
    seen.choose("Method", "random").fine()
    assert "| Score |" not in seen.text
    seen.choose("Method", method).fine()
    assert row in seen.text
    # Nobody waits for them again.
    assert row in type(seen)("class_activation_map", model="mnist_cnn").fine().text


def test_the_contrastive_map_is_that_of_the_api(visit: Any) -> None:
    model = "imagenet_efficientnet_lite0"
    seen = visit("class_activation_map", model=model).choose("Method", "contrastive-cam").fine()
    answer = workers.explain(file_of(model), chelsea(), method="contrastive-cam").maps[0]
    np.testing.assert_allclose(seen.values("map alone"), answer.values, atol=1e-4)
    assert "less the mean logit of the other classes" in seen.text
    assert seen.widget("Against").disabled
    # Against one class it is the difference; that class has no map of its own then.
    first, second, *_ = (
        cam.target for cam in workers.explain_stages(file_of(model), chelsea()).explanation.maps
    )
    seen.choose("Method", "cam").choose("Against", second).fine()
    answer = workers.explain(file_of(model), chelsea(), (first,), against=second).maps[0]
    np.testing.assert_allclose(seen.values("map alone"), answer.values, atol=1e-4)
    assert f"less that for “{second}”" in seen.text
    assert seen.title("overlay").endswith(f"for “{first}” against “{second}”")
    seen.choose("Method", "eigen-cam").fine()
    assert seen.widget("Against").disabled
    assert "Eigen-CAM gives every class the same map." in seen.text


# --- Compare ------------------------------------------------------------------------------------


def test_compare_shows_the_maps_of_the_api_on_one_scale_a_method(visit: Any) -> None:
    model, methods, classes = "cat_dog_lesson", ["cam", "layer-cam", "random"], ["dog", "cat"]
    file, photo = file_of(model), first_photo(model)
    link = {"methods": methods, "classes": classes}
    seen = visit("compare", model=model, **link).fine()
    board, maps = seen.viewer("comparison"), {}
    for column, method in enumerate(methods):
        answer = workers.explain(file, photo, classes, method=method)
        limit = max(np.abs(cam.values).max() for cam in answer.maps)
        assert board["columns"][column]["ends"] == [f"−{limit:.3g}", f"+{limit:.3g}"]
        for row, cam in enumerate(answer.maps):
            cell = board["cells"][row][column]
            np.testing.assert_allclose(cell["values"], cam.values, atol=1e-4)
            assert cell["limit"] == pytest.approx(limit, rel=1e-4)
            largest = f"{cam.values.max():+.3g}".replace("-", "−")
            # The verdict comes later, and nothing moves then.
            assert cell["lines"][0] == "Verdict: …"
            assert cell["lines"][1].startswith(f"Largest {largest}, ")
            maps[row, column] = cam
    probabilities = answer.prediction.probabilities
    assert [(row["title"], row["share"]) for row in board["rows"]] == [
        ("dog", percent(probabilities[1])),
        ("cat", percent(probabilities[0])),
    ]
    assert dict(seen.app.query_params)["classes"] == classes
    board = seen.answered().viewer("comparison")
    squares, halves = (
        workers.run_part(file, photo, SeriesQuestion(key), 0, 99).values
        for key in ("covered-squares", "covered-halves")
    )
    for (row, column), cam in maps.items():
        number = answer.prediction.labels.index(cam.target)
        drops, of_halves = (losses(runs, answer.prediction, number) for runs in (squares, halves))
        word = judge_drops(cam.values, cell_drops(drops), of_halves).word
        assert board["cells"][row][column]["lines"][0] == f"Verdict: {word}"
    seen.choose("A score below each map", "average-drop").answered().fine()
    cam = maps[0, 0]
    question = SeriesQuestion("masked-photo", ("dog",), cam.layer, shown=cam.values, method="cam")
    part = workers.run_part(file, photo, question, 0, 3)
    score = map_score(MEASURES["average-drop"], part.values).value
    lines = seen.viewer("comparison")["cells"][0][0]["lines"]
    assert lines[-1] == f"Drop in confidence, lower is better: {score:+.2f}".replace("-", "−")
    seen.choose("Classes", []).fine()
    assert "at least one class" in seen.text


def test_two_networks_are_compared_by_their_classes_names(visit: Any) -> None:
    seen = visit("compare", model="cat_dog", compare="networks").fine()
    rows = seen.viewer("comparison")["rows"]
    assert [row["title"] for row in rows] == ["cat", "cat"]
    assert [row["lines"] for row in rows] == [
        ["Cat or dog"],
        ["Cat or dog: the lesson's network"],
    ]
    # Its maps have other cells, and those of sums a scale of their own.
    assert seen.viewer("comparison")["columns"][1]["ends"] == ["−largest", "+largest"]
    seen.choose("Other network", "mnist_cnn").fine()
    assert "no class in common" in seen.text
    # The page's own network stays.
    rows = seen.viewer("comparison")["rows"]
    assert [(row["title"], row["lines"]) for row in rows] == [("cat", []), ("dog", [])]


def test_two_photos_of_digits_and_a_method_of_many_runs(visit: Any) -> None:
    link = {"compare": "photos", "other photo": "digit-7", "methods": "occlusion", "classes": "7"}
    seen = visit("compare", model="mnist_cnn", **link).fine()
    # There is no map yet, and the line says of what.
    assert "comparison" not in [one.key for one in seen.app.get("bidi_component")]
    assert seen.app.get("progress")[0].proto.text.startswith("Occlusion: ")
    board = seen.answered().viewer("comparison")
    assert [row["lines"] for row in board["rows"]] == [["The digit zero"], ["The digit seven"]]
    photo = open_photo(next(one.path for one in samples() if one.name == "digit-7"))
    cam = workers.explain(file_of("mnist_cnn"), photo, ["7"], method="occlusion").maps[0]
    np.testing.assert_allclose(board["cells"][1][0]["values"], cam.values, atol=1e-4)


def test_a_click_on_a_map_leads_to_its_page(visit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clicks = [(3, 1)]
    show = comparison.show
    monkeypatch.setattr(
        comparison,
        "show",
        lambda board, key: show(board, key) or (clicks.pop() if clicks else None),
    )
    link = {"methods": ["cam", "grad-cam"], "classes": ["cat", "dog"], "compare": "networks"}
    seen = visit("compare", model="cat_dog", **link).fine()
    assert [one.value for one in seen.app.title] == [TITLES["class_activation_map"]]
    chosen = [seen.chosen(label) for label in ("Network", "Class", "Method")]
    assert chosen == ["cat_dog_lesson", "dog", "grad-cam"]


def test_events_of_a_comparison_are_checked() -> None:
    board = comparison.Board("a", [], [None] * 2, [None] * 3, [])
    assert comparison.parse({"id": "a", "row": 2, "column": 1}, board) == (2, 1)
    for wrong in (
        {"id": "b", "row": 2, "column": 1},
        {"id": "a", "row": 3, "column": 1},
        {"id": "a", "row": -1, "column": 1},
        {"id": "a", "row": "2", "column": 1},
        [2, 1],
        None,
    ):
        assert comparison.parse(wrong, board) is None
