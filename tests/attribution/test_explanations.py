"""Class activation maps of whole networks: one conformance test, identities, and choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnviz
from cnnviz.arrays import rectify
from cnnviz.attribution.descriptions import nothing_to_see
from cnnviz.attribution.explanations import explain_inputs
from cnnviz.attribution.methods import AVERAGED_MAPS, METHODS
from cnnviz.errors import LayerError, TargetError
from cnnviz.photos.preprocessing import network_input

Tiny = Callable[[str], Any]

# TensorFlow and LiteRT give the same.
pytestmark = pytest.mark.engines


# --- Conformance ----------------------------------------------------------------------------


def test_the_model_is_not_changed_by_any_view(fresh: Any, photo: np.ndarray, snapshot: Any) -> None:
    for name, layer in (("nested_functional", "left/conv"), ("shared_layer", "twin/conv")):
        network = fresh(name)
        before = snapshot(network.model)
        cnnviz.predict(network, photo)
        cnnviz.activations(network, photo, [info.path for info in network.layers])
        cnnviz.outline(network)
        cnnviz.filters(network, layer)
        cnnviz.class_activation_map(network, photo, layer=layer)
        cnnviz.class_activation_map(network, photo, method="contrastive-cam")
        assert snapshot(network.model) == before


# --- Identities -----------------------------------------------------------------------------


def test_the_paper_s_rectified_grad_cam_is_the_rectified_map(tiny: Tiny, photo: np.ndarray) -> None:
    cam = cnnviz.class_activation_map(tiny("flat"), photo, "cat")
    gradients = cnnviz.class_activation_map(tiny("flat"), photo, "cat", method="grad-cam")
    assert (cam.values < 0).any(), "a map that is positive everywhere would prove nothing"
    np.testing.assert_allclose(rectify(gradients.values) * 36, rectify(cam.values), atol=1e-5)


@pytest.mark.parametrize("name", ["two_classes", "one_sigmoid", "one_logit"])
def test_with_two_classes_the_contrast_is_the_difference_of_the_maps(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    network = tiny(name)
    cat, dog = (cnnviz.class_activation_map(network, photo, target) for target in ("cat", "dog"))
    contrast = cnnviz.class_activation_map(network, photo, "cat", method="contrastive-cam")
    np.testing.assert_allclose(contrast.values, cat.values - dog.values, atol=1e-6)
    assert contrast.score == pytest.approx(cat.score - dog.score, abs=1e-6)


def test_with_three_classes_the_contrast_is_with_the_mean_of_the_others(
    tiny: Tiny, photo: np.ndarray
) -> None:
    network = tiny("flat")
    maps = [cnnviz.class_activation_map(network, photo, target) for target in range(3)]
    for target in range(3):
        others = [maps[other] for other in range(3) if other != target]
        contrast = cnnviz.class_activation_map(network, photo, target, method="contrastive-cam")
        expected = maps[target].values - (others[0].values + others[1].values) / 2
        np.testing.assert_allclose(contrast.values, expected, atol=1e-6)
        mean_of_others = (others[0].score + others[1].score) / 2
        assert contrast.score == pytest.approx(maps[target].score - mean_of_others, abs=1e-6)
        assert contrast.bias is not None
        assert contrast.values.mean() + contrast.bias == pytest.approx(contrast.score, abs=1e-5)


@pytest.mark.parametrize("name", ["one_sigmoid", "one_logit"])
@pytest.mark.parametrize("method", ["cam", "grad-cam"])
def test_one_unit_s_evidence_for_the_other_class_is_the_negated_one(
    tiny: Tiny, photo: np.ndarray, name: str, method: str
) -> None:
    cat, dog = (
        cnnviz.class_activation_map(tiny(name), photo, target, method=method)
        for target in ("cat", "dog")
    )
    np.testing.assert_allclose(cat.values, -dog.values, atol=1e-7)
    assert cat.score == pytest.approx(-dog.score, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "methods"),
    [
        ("flat", ("cam", "grad-cam", "hires-cam", "xgrad-cam", "finer-cam")),
        ("one_sigmoid", ("cam", "grad-cam", "hires-cam")),
        ("dense_after_flatten", ("hires-cam", "grad-cam", "finer-cam")),
        # Without logits it is the difference of the outputs.
        ("averaged_probabilities", ("grad-cam",)),
    ],
)
def test_a_class_against_another_is_the_difference_of_their_maps(
    tiny: Tiny, photo: np.ndarray, name: str, methods: tuple[str, ...]
) -> None:
    network = tiny(name)
    for method in methods:
        strength = METHODS[method].strength
        single = "grad-cam" if METHODS[method].against == "nearest" else method
        cat, dog = (
            cnnviz.class_activation_map(network, photo, target, method=single)
            for target in ("cat", "dog")
        )
        both = cnnviz.class_activation_map(network, photo, "cat", method=method, against="dog")
        assert (both.target, both.against) == ("cat", "dog")
        np.testing.assert_allclose(both.values, cat.values - strength * dog.values, atol=1e-6)
        assert both.score == pytest.approx(cat.score - strength * dog.score, abs=1e-6)
        assert (both.bias is None) == (cat.bias is None)
        if both.bias is not None:
            combine = np.mean if both.aggregate == "mean" else np.sum
            assert combine(both.values) + both.bias == pytest.approx(both.score, abs=1e-5)


def test_finer_cam_takes_the_class_with_the_nearest_score(tiny: Tiny, photo: np.ndarray) -> None:
    """For each photo of a batch, and for the predicted class as for a chosen one."""
    network = tiny("flat")
    photos = [photo, 255 - photo, photo[:, ::-1], photo[:20]]
    steps = network.card.preprocessing
    inputs = np.concatenate([network_input(one, steps) for one in photos])
    for targets in ([], ["cat"]):
        rivals = set()
        for answer, one in zip(
            explain_inputs(network, inputs, targets, method="finer-cam"), photos, strict=True
        ):
            assert isinstance(answer, cnnviz.Explanation)
            (cam,), logits = answer.maps, answer.prediction.logits
            assert logits is not None
            own = network.card.labels.index(cam.target)
            gaps = {abs(score - logits[own]): at for at, score in enumerate(logits) if at != own}
            rival = network.card.labels[gaps[min(gaps)]]
            assert cam.against == rival
            rivals.add(rival)
            # At averaged maps it is the difference of the maps of both classes, per cell.
            this, other = (cnnviz.class_activation_map(network, one, at) for at in (own, rival))
            expected = (this.values - 0.6 * other.values) / cam.values.size
            np.testing.assert_allclose(cam.values, expected, atol=1e-6)
            assert cam.score == pytest.approx(this.score - 0.6 * other.score, abs=1e-5)
        assert targets or len(rivals) > 1, "one rival for all photos would prove little"


def test_maps_that_are_the_same_for_every_class(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    maps = cnnviz.activations(network, photo, ["conv2"])["conv2"]
    eigen = cnnviz.explain(network, photo, [0, 1, 2], method="eigen-cam").maps
    noise = cnnviz.explain(network, photo, [0, 1, 2], method="random").maps
    for same in (eigen, noise):
        assert not any(cam.of_class for cam in same)
        np.testing.assert_array_equal(same[0].values, same[2].values)
    # The first principal component has the largest sum of squares that a direction can have.
    squares = np.linalg.eigvalsh(maps.reshape(36, 5).T @ maps.reshape(36, 5))
    assert np.square(eigen[0].values).sum() == pytest.approx(squares[-1], rel=1e-4)
    again, other = (
        cnnviz.class_activation_map(network, one, method="random").values
        for one in (photo.copy(), 255 - photo)
    )
    np.testing.assert_array_equal(again, noise[0].values)
    assert np.abs(other - again).max() > 0.1
    assert cnnviz.class_activation_map(
        network, photo, method="random", layer="conv1"
    ).values.shape == (12, 12)


def test_the_map_by_hand(fresh: Any) -> None:
    """A network whose one map is the photo's brightness, and whose weights are 2 and -1."""
    network = fresh("rescaled", labels=["light", "dark", "none"])
    model = network.model
    model.get_layer("conv").set_weights([np.zeros((3, 3, 3, 4)), np.zeros(4)])
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    kernel[1, 1, :, 0] = 1 / 3
    model.get_layer("conv").set_weights([kernel, np.zeros(4, np.float32)])
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    variance = np.full(4, 1 - model.get_layer("norm").epsilon, np.float32)
    model.get_layer("norm").set_weights([ones, zeros, zeros, variance])
    dense = np.zeros((4, 3), np.float32)
    dense[0] = (2, -1, 0)
    model.get_layer("scores").set_weights([dense, np.array([0.5, 0, 0], np.float32)])

    photo = np.zeros((12, 12, 3), np.uint8)
    photo[4, 7] = 255
    light = cnnviz.class_activation_map(network, photo)
    dark = cnnviz.class_activation_map(network, photo, "dark")
    expected = np.zeros((10, 10))
    expected[3, 6] = 1
    np.testing.assert_allclose(light.values, 2 * expected, atol=1e-5)
    np.testing.assert_allclose(dark.values, -expected, atol=1e-5)
    assert (light.target, light.layer, light.method) == ("light", "act", "cam")
    assert light.score == pytest.approx(2 / 100 + 0.5, abs=1e-5)


# --- Maps of classes ------------------------------------------------------------------------


def class_logits(network: Any, photo: np.ndarray) -> np.ndarray:
    """The maps of classes in NumPy: a 1×1 convolution is a matrix product at each cell."""
    kernel, bias = network.model.get_layer("class_maps").get_weights()
    return cnnviz.activations(network, photo, ["conv2"])["conv2"] @ kernel[0, 0] + bias


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "name",
    [
        "all_convolutional",
        "averaged_class_maps",
        "logit_maps",
        "averaged_softmax_maps",
        "softmax_maps",
    ],
)
def test_a_class_s_own_map_of_logits_is_its_evidence(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    network = tiny(name)
    logits = class_logits(network, photo)
    for index, label in enumerate(("cat", "dog", "owl")):
        cam = cnnviz.class_activation_map(network, photo, label)
        assert (cam.method, cam.layer, cam.bias) == ("cam", "class_maps", 0)
        np.testing.assert_allclose(cam.values, logits[..., index], atol=1e-5)
        assert cam.score == pytest.approx(logits[..., index].mean(), abs=1e-5)
        contrast = cnnviz.class_activation_map(network, photo, label, method="contrastive-cam")
        others = np.delete(logits, index, axis=-1).mean(axis=-1)
        np.testing.assert_allclose(contrast.values, logits[..., index] - others, atol=1e-5)


@pytest.mark.parametrize("name", ["averaged_softmax_maps", "softmax_maps"])
def test_probabilities_of_cells_are_averaged(tiny: Tiny, photo: np.ndarray, name: str) -> None:
    prediction = cnnviz.predict(tiny(name), photo)
    expected = softmax(class_logits(tiny(name), photo)).mean(axis=(0, 1))
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    assert prediction.logits is None
    assert prediction.exclusive


@pytest.mark.parametrize("name", ["all_convolutional", "averaged_class_maps", "logit_maps"])
def test_logits_of_cells_are_averaged(tiny: Tiny, photo: np.ndarray, name: str) -> None:
    prediction = cnnviz.predict(tiny(name), photo)
    expected = class_logits(tiny(name), photo).mean(axis=(0, 1))
    np.testing.assert_allclose(prediction.logits, expected, atol=1e-5)
    np.testing.assert_allclose(prediction.probabilities, softmax(expected), atol=1e-6)


@pytest.mark.parametrize("kind", ["Conv2DTranspose", "SeparableConv2D"])
def test_logits_that_cannot_be_computed_are_not_guessed(photo: np.ndarray, kind: str) -> None:
    """The last convolution has a softmax of its own, and as many channels as the one before."""
    import keras
    from keras import layers

    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(3, 3, activation="relu", name="before")(image)
    x = getattr(layers, kind)(3, 3, activation="softmax", name="last")(x)
    for model in (
        keras.Model(image, x),
        keras.Model(image, layers.GlobalAveragePooling2D()(x)),
    ):
        network = cnnviz.network(model, preset="unit")
        assert set(cnnviz.methods(network)) == set(METHODS) - set(AVERAGED_MAPS)
        explained = cnnviz.explain(network, photo)
        maps = cnnviz.activations(network, photo, ["last"])["last"]
        assert explained.prediction.logits is None
        np.testing.assert_allclose(
            explained.prediction.probabilities, maps.mean(axis=(0, 1)), atol=1e-6
        )
        assert explained.maps[0].layer == "last"


def test_the_input_of_a_softmax_at_each_cell_is_the_map(photo: np.ndarray) -> None:
    """A ReLU between the convolution and the softmax belongs to the map."""
    import keras
    from keras import layers

    image = keras.Input((12, 12, 3))
    x = layers.Conv2D(3, 3, activation="relu", name="maps")(image)
    network = cnnviz.network(keras.Model(image, layers.Softmax()(x)), preset="unit")
    maps = cnnviz.activations(network, photo, ["maps"])["maps"]
    for index in range(3):
        cam = cnnviz.class_activation_map(network, photo, index)
        assert (cam.method, cam.layer) == ("cam", "maps")
        np.testing.assert_allclose(cam.values, maps[..., index], atol=1e-6)


def test_one_map_represents_two_classes(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("one_sigmoid_map")
    logits = class_logits(network, photo)[..., 0]
    cat, dog = (cnnviz.class_activation_map(network, photo, target) for target in ("cat", "dog"))
    np.testing.assert_allclose(dog.values, logits, atol=1e-5)
    np.testing.assert_allclose(cat.values, -logits, atol=1e-5)
    dog_probability = (1 / (1 + np.exp(-logits))).mean()
    probabilities = cnnviz.predict(network, photo).probabilities
    np.testing.assert_allclose(probabilities, [1 - dog_probability, dog_probability], atol=1e-6)


def test_maps_of_one_cell_are_the_prediction(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("one_place")
    kernel, bias = network.model.get_layer("class_maps").get_weights()
    maps = cnnviz.activations(network, photo, ["conv2"])["conv2"]
    logits = np.einsum("yxi,yxij->j", maps, kernel) + bias
    prediction = cnnviz.predict(network, photo)
    np.testing.assert_allclose(prediction.logits, logits, atol=1e-4)
    np.testing.assert_allclose(prediction.probabilities, softmax(logits), atol=1e-5)
    # The gradient of a logit at the maps is the kernel itself.
    cam = cnnviz.class_activation_map(network, photo, "owl")
    assert (cam.method, cam.layer) == ("grad-cam", "conv2")
    importance = kernel[..., 2].mean(axis=(0, 1))
    np.testing.assert_allclose(cam.values, maps @ importance, atol=1e-5)


# --- Other heads ----------------------------------------------------------------------------


def test_each_of_independent_classes_has_the_map_of_its_dense_weights(
    tiny: Tiny, photo: np.ndarray
) -> None:
    network = tiny("many_sigmoids")
    kernel, bias = network.model.get_layer("scores").get_weights()
    maps = cnnviz.activations(network, photo, ["conv2"])["conv2"]
    explained = cnnviz.explain(network, photo, [0, 1, 2])
    assert not explained.prediction.exclusive
    for index, cam in enumerate(explained.maps):
        np.testing.assert_allclose(cam.values, maps @ kernel[:, index], atol=1e-5)
        logit = maps.mean(axis=(0, 1)) @ kernel[:, index] + bias[index]
        assert cam.score == pytest.approx(logit, abs=1e-4)
        probability = explained.prediction.probabilities[index]
        assert probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


def test_after_a_global_maximum_only_the_peaks_count(tiny: Tiny, photo: np.ndarray) -> None:
    """The gradient is the dense weight at a channel's peak and zero elsewhere."""
    network = tiny("global_maximum")
    kernel, _ = network.model.get_layer("scores").get_weights()
    maps = cnnviz.activations(network, photo, ["conv2"])["conv2"]
    for index in range(3):
        cam = cnnviz.class_activation_map(network, photo, index)
        assert (cam.method, cam.layer) == ("grad-cam", "conv2")
        np.testing.assert_allclose(cam.values, maps @ kernel[:, index] / 36, atol=1e-5)


def test_after_a_flatten_each_cell_has_its_own_weights(tiny: Tiny, photo: np.ndarray) -> None:
    """By the chain rule through the hidden dense layer and its ReLU, in NumPy."""
    network = tiny("dense_after_flatten")
    hidden, hidden_bias = network.model.get_layer("hidden").get_weights()
    kernel, bias = network.model.get_layer("scores").get_weights()
    maps = cnnviz.activations(network, photo, ["conv2"])["conv2"]
    open_units = maps.ravel() @ hidden + hidden_bias > 0
    for index in range(3):
        gradient = (hidden @ (kernel[:, index] * open_units)).reshape(maps.shape)
        cam = cnnviz.class_activation_map(network, photo, index)
        assert (cam.method, cam.bias) == ("hires-cam", None)
        np.testing.assert_allclose(cam.values, (maps * gradient).sum(axis=-1), atol=1e-5)
        assert cam.gradient == pytest.approx(np.abs(gradient).max(), rel=1e-4)
        mean = cnnviz.class_activation_map(network, photo, index, method="grad-cam")
        np.testing.assert_allclose(mean.values, maps @ gradient.mean(axis=(0, 1)), atol=1e-5)
        # To first order: each open unit lacks its bias times its weight, and the class's bias.
        lacking = (hidden_bias * open_units) @ kernel[:, index] + bias[index]
        assert cam.values.sum() + lacking == pytest.approx(cam.score, abs=1e-4)


@pytest.mark.parametrize("name", ["ends_in_operations", "one_unit_after_flatten"])
def test_one_dense_layer_after_a_flatten_makes_the_sum_of_the_map_exact(
    tiny: Tiny, photo: np.ndarray, name: str
) -> None:
    """Each cell has its own dense weights: the sum of the map plus the bias is the logit."""
    network = tiny(name)
    kernel, bias = network.model.get_layer("scores").get_weights()
    if kernel.shape[1] == 1:
        kernel, bias = np.hstack([-kernel, kernel]), np.hstack([-bias, bias])
    last = cnnviz.outline(network).last_spatial
    assert last is not None
    maps = cnnviz.activations(network, photo, [last])[last]
    logits = cnnviz.predict(network, photo).logits
    assert logits is not None
    for index, label in enumerate(network.card.labels):
        cam = cnnviz.class_activation_map(network, photo, label)
        assert (cam.method, cam.layer, cam.aggregate) == ("hires-cam", last, "sum")
        expected = (maps * kernel[:, index].reshape(maps.shape)).sum(axis=-1)
        np.testing.assert_allclose(cam.values, expected, atol=1e-5)
        assert cam.bias == pytest.approx(bias[index])
        assert cam.values.sum() + cam.bias == pytest.approx(logits[index], abs=1e-4)
        assert cam.score == pytest.approx(logits[index], abs=1e-4)
        # Before another layer than the last, and for other methods, nothing is claimed.
        assert cnnviz.class_activation_map(network, photo, label, layer="conv1").bias is None
        assert cnnviz.class_activation_map(network, photo, label, method="grad-cam").bias is None


def test_after_an_average_three_methods_of_gradients_give_the_same_map(
    tiny: Tiny, photo: np.ndarray
) -> None:
    cam = cnnviz.class_activation_map(tiny("flat"), photo, "owl")
    mean, exact, weighted = (
        cnnviz.class_activation_map(tiny("flat"), photo, "owl", method=method)
        for method in ("grad-cam", "hires-cam", "xgrad-cam")
    )
    np.testing.assert_allclose(exact.values, mean.values, atol=1e-6)
    np.testing.assert_allclose(weighted.values, mean.values, atol=1e-6)
    assert exact.bias == cam.bias
    assert exact.values.sum() + exact.bias == pytest.approx(exact.score, abs=1e-5)


# --- Zero and saturated gradients -----------------------------------------------------------


def test_zero_gradients_and_zero_maps_have_different_reasons(fresh: Any, photo: np.ndarray) -> None:
    settled = fresh("dense_after_flatten")
    kernel, bias = settled.model.get_layer("hidden").get_weights()
    settled.model.get_layer("hidden").set_weights([0 * kernel, 0 * bias - 1])
    cam = cnnviz.class_activation_map(settled, photo)
    assert cam.gradient == 0
    assert "no gradient reaches this layer" in nothing_to_see(cam)
    dead = fresh("dense_after_flatten")
    kernel, bias = dead.model.get_layer("conv2").get_weights()
    dead.model.get_layer("conv2").set_weights([0 * kernel, 0 * bias])
    # At a ReLU of exactly zero nothing passes, so look at its input.
    cam = cnnviz.class_activation_map(dead, photo, layer="conv2")
    assert cam.gradient is not None
    assert cam.gradient > 0
    assert "the maps that it weighs are zero" in nothing_to_see(cam)


def test_a_saturated_probability_is_named_where_no_logit_can_be_explained(
    fresh: Any, photo: np.ndarray
) -> None:
    network = fresh("averaged_probabilities")
    for name in ("first", "second"):
        layer = network.model.get_layer(f"{name}_scores")
        layer.set_weights([layer.get_weights()[0], np.array([0, 99, 0], np.float32)])
    cam = cnnviz.class_activation_map(network, photo)
    assert (cam.target, cam.score, cam.saturated) == ("dog", 1, True)
    assert "rounds to 1, and its gradient with it" in nothing_to_see(cam)
    other = cnnviz.class_activation_map(network, photo, "cat")
    assert other.saturated
    assert "rounds to 0" in nothing_to_see(other)


def test_a_saturated_softmax_with_logits_is_explained_all_the_same(
    fresh: Any, photo: np.ndarray, tiny: Tiny
) -> None:
    network = fresh("flat")
    layer = network.model.get_layer("scores")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + np.array([0, 99, 0], np.float32)])
    assert cnnviz.predict(network, photo).probabilities[1] == 1
    for method, record in METHODS.items():
        # Which class has the nearest score is another question now.
        how = {"method": method, "against": "owl" if record.against == "nearest" else None}
        cam = cnnviz.class_activation_map(network, photo, "dog", **how)
        assert not cam.saturated
        expected = cnnviz.class_activation_map(tiny("flat"), photo, "dog", **how)
        # Of a logit of 100 float32 has five digits, which a difference of two runs loses.
        atol = 1e-6 if record.passes != "many" else 2e-4
        np.testing.assert_allclose(cam.values, expected.values, atol=atol)


# --- Evidence that rounding loses -----------------------------------------------------------


@pytest.mark.parametrize("method", [key for key, one in METHODS.items() if one.of_class])
def test_evidence_that_changes_no_probability_is_described_as_lost(
    fresh: Any, photo: np.ndarray, method: str
) -> None:
    network = fresh("flat")
    assert nothing_to_see(cnnviz.class_activation_map(network, photo, method=method)) == ""
    layer = network.model.get_layer("conv2")
    layer.set_weights([1e-10 * weights for weights in layer.get_weights()])
    # The photo makes no difference to the answer, whatever the map of it looks like.
    one, other = (cnnviz.predict(network, shown) for shown in (photo, 255 - photo))
    np.testing.assert_array_equal(
        one.probabilities.astype(np.float32), other.probabilities.astype(np.float32)
    )
    cam = cnnviz.class_activation_map(network, photo, method=method)
    # Where it is a difference of two runs, nothing at all is left.
    assert cam.values.any() or METHODS[method].passes == "many"
    reason = "too little to change the network's answer" if cam.values.any() else "zero everywhere"
    assert reason in nothing_to_see(cam)


def test_a_map_records_whether_the_score_is_a_logit(tiny: Tiny, photo: np.ndarray) -> None:
    assert cnnviz.class_activation_map(tiny("flat"), photo, method="grad-cam").logit
    assert not cnnviz.class_activation_map(tiny("averaged_probabilities"), photo).logit


# --- Choices --------------------------------------------------------------------------------


def test_the_method_that_fits_the_head_is_taken_and_named(tiny: Tiny, photo: np.ndarray) -> None:
    for name, method, layer in (
        ("flat", "cam", "conv2"),
        ("dense_after_flatten", "hires-cam", "conv2"),
        ("one_unit_after_flatten", "hires-cam", "conv2"),
        ("hidden_dense", "grad-cam", "conv2"),
        ("nested_sequential", "cam", "backbone/conv_b"),
    ):
        cam = cnnviz.class_activation_map(tiny(name), photo)
        assert (cam.method, cam.layer) == (method, layer)
        assert cam.target == cnnviz.predict(tiny(name), photo).label


def test_another_layer_means_grad_cam_there(tiny: Tiny, photo: np.ndarray) -> None:
    cam = cnnviz.class_activation_map(tiny("flat"), photo, layer="conv1")
    assert (cam.method, cam.layer, cam.values.shape) == ("grad-cam", "conv1", (12, 12))
    same = cnnviz.class_activation_map(tiny("flat"), photo, layer="conv2")
    assert same.method == "cam"


@pytest.mark.parametrize(
    ("name", "method", "logit"),
    [
        ("flat", "cam", True),
        ("flat", "grad-cam", True),
        ("averaged_probabilities", "grad-cam", False),
    ],
)
def test_a_score_far_from_certain_is_not_saturated(
    tiny: Tiny, photo: np.ndarray, name: str, method: str, logit: bool
) -> None:
    cam = cnnviz.class_activation_map(tiny(name), photo, "owl", method=method)
    assert (cam.logit, cam.saturated) == (logit, False)
    if not logit:
        assert 0.01 < cam.score < 0.99


@pytest.mark.parametrize("layer", ["outer/inner/conv", "outer/conv", "outer/inner", "outer"])
def test_grad_cam_reaches_into_nested_models(tiny: Tiny, photo: np.ndarray, layer: str) -> None:
    network = tiny("backbone_in_backbone")
    cam = cnnviz.class_activation_map(network, photo, "cat", method="grad-cam", layer=layer)
    assert cam.layer == layer
    assert np.abs(cam.values).max() > 0


def test_the_second_call_of_a_shared_layer_can_be_explained(tiny: Tiny, photo: np.ndarray) -> None:
    maps = [
        cnnviz.class_activation_map(tiny("shared_layer"), photo, "cat", layer=layer).values
        for layer in ("again", "again#1")
    ]
    assert np.abs(maps[0] - maps[1]).max() > 1e-4


@pytest.mark.parametrize("method", list(METHODS))
def test_many_classes_at_once_are_the_same_as_one_by_one(
    tiny: Tiny, photo: np.ndarray, method: str
) -> None:
    network = tiny("flat")
    together = cnnviz.explain(network, photo, ["owl", 0, "owl"], method=method)
    assert [cam.target for cam in together.maps] == ["owl", "cat", "owl"]
    np.testing.assert_allclose(
        together.prediction.probabilities, cnnviz.predict(network, photo).probabilities, atol=1e-6
    )
    for cam in together.maps:
        alone = cnnviz.class_activation_map(network, photo, cam.target, method=method)
        np.testing.assert_allclose(cam.values, alone.values, atol=1e-6)
        assert cam.score == pytest.approx(alone.score, abs=1e-5)


def test_class_number_zero_is_a_class(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    assert cnnviz.predict(network, photo).index != 0
    assert cnnviz.class_activation_map(network, photo, 0).target == "cat"


# --- Errors ---------------------------------------------------------------------------------


def test_an_unknown_class_lists_the_classes(tiny: Tiny, photo: np.ndarray) -> None:
    with pytest.raises(TargetError, match="no class 'cow'. Its 3 are: cat, dog, owl"):
        cnnviz.class_activation_map(tiny("flat"), photo, "cow")


def test_an_unknown_method_lists_the_methods(tiny: Tiny, photo: np.ndarray) -> None:
    with pytest.raises(
        TargetError, match="no method 'cams'. Choose from cam, contrastive-cam, gra"
    ):
        cnnviz.class_activation_map(tiny("flat"), photo, method="cams")


@pytest.mark.parametrize("method", ["cam", "contrastive-cam"])
def test_the_error_of_a_method_that_does_not_fit_names_one_that_does(
    tiny: Tiny, photo: np.ndarray, method: str
) -> None:
    with pytest.raises(TargetError, match="this one ends otherwise. Use 'grad-cam'"):
        cnnviz.class_activation_map(tiny("dense_after_flatten"), photo, method=method)
    with pytest.raises(TargetError, match="reads the layer 'conv2'.*for 'conv1' use 'grad-cam'"):
        cnnviz.class_activation_map(tiny("flat"), photo, method=method, layer="conv1")


def test_what_a_class_cannot_be_set_against(tiny: Tiny, photo: np.ndarray) -> None:
    network = tiny("flat")
    predicted = cnnviz.predict(network, photo).label
    for target in (None, predicted):
        with pytest.raises(TargetError, match=f"'{predicted}' cannot be set against itself"):
            cnnviz.class_activation_map(network, photo, target, against=predicted)
    with pytest.raises(TargetError, match="no class 'cow'"):
        cnnviz.class_activation_map(network, photo, "cat", against="cow")
    with pytest.raises(TargetError, match="sets a class against all others at once"):
        cnnviz.class_activation_map(network, photo, 0, method="contrastive-cam", against=1)
    for method in ("eigen-cam", "random"):
        with pytest.raises(TargetError, match="the same map, so there is nothing to set against"):
            cnnviz.class_activation_map(network, photo, "cat", method=method, against="dog")


@pytest.mark.parametrize("method", [None, "eigen-cam", "random"])
def test_a_layer_without_maps_is_refused(tiny: Tiny, photo: np.ndarray, method: str | None) -> None:
    for layer in ("average", "scores"):
        with pytest.raises(LayerError, match=f"'{layer}' gives one number a channel and no maps"):
            cnnviz.class_activation_map(tiny("flat"), photo, method=method, layer=layer)


def test_an_unknown_layer_names_near_ones(tiny: Tiny, photo: np.ndarray) -> None:
    with pytest.raises(LayerError, match="no layer 'conf2'. Near it: conv2"):
        cnnviz.class_activation_map(tiny("flat"), photo, layer="conf2")


def test_a_network_without_maps_is_refused(photo: np.ndarray) -> None:
    import keras

    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(image)))
    with pytest.raises(LayerError, match="no layer with maps"):
        cnnviz.class_activation_map(cnnviz.network(model, preset="unit"), photo)


# --- Odd photos and odd maps ----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (3, 2), (500, 30)])
@pytest.mark.parametrize("value", [0, 255])
def test_photos_of_any_size_are_explained(tiny: Tiny, shape: tuple[int, int], value: int) -> None:
    pixels = np.full((*shape, 3), value, np.uint8)
    for name in ("flat", "dense_after_flatten", "grey", "rescaled"):
        cam = cnnviz.class_activation_map(tiny(name), pixels)
        assert np.isfinite(cam.values).all()


def test_maps_of_one_cell_are_maps(photo: np.ndarray) -> None:
    import keras
    from keras import layers

    image = keras.Input((6, 6, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 6, name="whole")(image))
    network = cnnviz.network(keras.Model(image, layers.Dense(2, "softmax")(x)), preset="unit")
    cam = cnnviz.class_activation_map(network, photo, 0)
    assert cam.values.shape == (1, 1)
    assert cam.values[0, 0] + cam.bias == pytest.approx(cam.score, abs=1e-6)
    gradients = cnnviz.class_activation_map(network, photo, 0, method="grad-cam", layer="whole")
    np.testing.assert_allclose(gradients.values, cam.values, atol=1e-5)


def test_a_dead_layer_gives_a_map_of_zeros(fresh: Any, photo: np.ndarray) -> None:
    network = fresh("flat")
    kernel, bias = network.model.get_layer("conv2").get_weights()
    network.model.get_layer("conv2").set_weights([0 * kernel, 0 * bias - 1])
    for method in (key for key, one in METHODS.items() if one.passes != "none"):
        cam = cnnviz.class_activation_map(network, photo, "cat", method=method)
        assert not cam.values.any()
        assert cam.values.shape == (6, 6) or METHODS[method].needs == "photo"
        assert "zero everywhere" in nothing_to_see(cam)
