"""The folder of models: an error of one is shown on the page, and affects no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnviz.cards import write_card

PAGES = ("explore", "network", "filters", "activations", "class_activation_map")
# For what is the same code on all pages.
TWO_PAGES = ("explore", "class_activation_map")
LINK = "[x](https://evil.example)"
MARKUP = (LINK, "<b>bold</b>", "![i](https://evil.example/i.png)")


@pytest.mark.parametrize("page", TWO_PAGES)
def test_a_card_with_an_error_names_file_and_field(visit: Any, models: Any, page: str) -> None:
    folder = models("flat", "two_classes")
    card = json.loads((folder / "flat.json").read_text())
    card["preprocessing"]["scaling"] = "sideways"
    (folder / "flat.json").write_text(json.dumps(card))
    seen = visit(page, model="flat")
    assert len(seen.app.error) == 1
    assert "flat.json" in seen.text
    assert "preprocessing.scaling" in seen.text
    assert seen.app.exception == []
    # The others still work, and so does this one once the card is right.
    seen.choose("Network", "two_classes").fine()
    card["preprocessing"]["scaling"] = "unit"
    (folder / "flat.json").write_text(json.dumps(card))
    seen.choose("Network", "flat").fine()


def test_a_damaged_model_is_reported_without_paths_of_the_server(visit: Any, models: Any) -> None:
    folder = models("flat")
    (folder / "broken.keras").write_bytes(b"not a model")
    seen = visit(model="broken")
    assert "broken.keras cannot be loaded as a Keras model" in seen.text
    assert str(folder) not in seen.text
    assert seen.app.exception == []
    seen.choose("Network", "flat").fine()


@pytest.mark.parametrize("page", TWO_PAGES)
def test_a_network_without_a_card_says_that_it_is_inferred(
    visit: Any, models: Any, page: str
) -> None:
    (models("nested_functional") / "nested_functional.json").unlink()
    seen = visit(page).fine()
    assert "Name your classes" in [one.label.strip("*") for one in seen.app.expander]
    assert "inferred" in seen.text or "does not show which values" in seen.text
    assert not re.search(r"\bcards?\b", seen.text)


def test_an_empty_folder_says_what_to_do(visit: Any, models: Any) -> None:
    folder = models()
    seen = visit()
    assert "There is no saved model in the folder" in seen.text
    assert str(folder) in seen.text
    assert "Put a .keras or .h5 file there" in seen.text
    assert seen.app.exception == []


def test_a_missing_folder_says_so_too(
    visit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNVIZ_MODELS", str(tmp_path / "nowhere"))
    assert "There is no saved model in the folder" in visit().text


def test_a_model_that_is_put_there_later_is_offered(visit: Any, models: Any) -> None:
    models()
    seen = visit()
    models("flat")
    seen.run()
    assert seen.fine().chosen("Network") == "flat"


def test_a_model_that_disappears_leaves_the_others(visit: Any, models: Any) -> None:
    folder = models("flat", "two_classes")
    seen = visit(model="two_classes").fine()
    (folder / "two_classes.keras").unlink()
    seen.run()
    assert seen.fine().chosen("Network") == "flat"


@pytest.mark.parametrize("page", PAGES)
def test_labels_and_titles_are_text_and_never_markup(visit: Any, models: Any, page: str) -> None:
    models("flat", card={"labels": list(MARKUP), "title": LINK, "source": MARKUP[1]})
    seen = visit(page).fine()
    for markup in ("[x](", "<b>", "![i]("):
        assert markup not in seen.raw.replace("\\<", ""), markup
    assert LINK in seen.text
    for chart in seen.app.get("plotly_chart"):
        assert "<b>bold" not in json.loads(chart.proto.spec)["layout"]["title"]["text"]


def test_a_layers_name_is_text_too(visit: Any, tiny: Any, models: Any, save: Any) -> None:
    import keras

    image = keras.Input((12, 12, 3), name="image")
    maps = keras.layers.Conv2D(3, 3, name="<b>[x](https:)")(image)
    scores = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(maps))
    folder = models()
    save(keras.Model(image, scores), folder / "named.keras")
    write_card(tiny("flat").card, folder / "named.json")
    for page in PAGES:
        seen = visit(page)
        assert [one.value for one in seen.app.exception] == []
        assert "cannot run a layer named '<b>[x](https:)'" in seen.text
        assert "<b>" not in seen.raw.replace("\\<", "")


@pytest.mark.parametrize("page", PAGES)
def test_a_network_without_a_convolution_has_no_broken_page(
    visit: Any, tiny: Any, models: Any, save: Any, page: str
) -> None:
    import keras

    image = keras.Input((12, 12, 3), name="image")
    scores = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(image))
    folder = models()
    save(keras.Model(image, scores), folder / "dense.keras")
    write_card(tiny("flat").card, folder / "dense.json")
    seen = visit(page)
    assert seen.app.exception == []
    if page == "filters":
        assert "no convolution" in seen.text


def test_a_class_without_evidence_is_reported(visit: Any, models: Any) -> None:
    models("flat")
    seen = visit("class_activation_map")
    for target in ("cat", "dog", "owl"):
        seen.choose("Class", target).fine()
        evidence = seen.values("map alone").max() > 0
        assert ("The photo holds no evidence for" in seen.text) is not evidence


def test_two_files_of_one_name_are_both_offered(
    visit: Any, models: Any, save: Any, tiny: Any
) -> None:
    folder = models("flat")
    save(tiny("flat").model, folder / "flat.h5")
    seen = visit(model="flat.h5").fine()
    assert seen.chosen("Network") == "flat.h5"
    assert len(seen.widget("Network").options) == 2


def test_the_network_page_has_every_layer_and_a_layers_neighbours(
    visit: Any, models: Any, tiny: Any
) -> None:
    models("nested_functional")
    seen = visit("network").fine()
    layers = tiny("nested_functional").layers
    table = seen.app.dataframe[0].value
    assert list(table["Layer"]) == [layer.path for layer in layers]
    # A first convolution is there at once, with its strongest maps.
    assert seen.chosen("Layer") == next(layer.path for layer in layers if layer.kernel_shape)
    assert seen.viewer("maps")["regions"][0]["items"][0]["unit"] == "activation"
    inner = [layer for layer in layers if "/" in layer.path][-1].path
    # An old link, which also says what was opened.
    seen = visit("network", layer=inner, open=inner.split("/")[0]).fine()
    assert seen.chosen("Layer") == inner
    row = table[table["Layer"] == inner].iloc[0]
    assert row["Reads"] in [one.label.replace("\\", "") for one in seen.app.button]
    seen.run(next(one for one in seen.app.button if one.key == f"Reads {row['Reads']}").click())
    assert seen.fine().chosen("Layer") == row["Reads"]
    assert seen.app.query_params["layer"] == row["Reads"]


def test_a_sigmoid_unit_has_two_classes(visit: Any, models: Any) -> None:
    models("one_sigmoid")
    seen = visit("class_activation_map").fine()
    first = seen.choose("Class", "cat").values("map alone")
    second = seen.choose("Class", "dog").values("map alone")
    np.testing.assert_allclose(first, -second, atol=1e-6)


def test_weights_that_are_not_numbers_are_named_and_there_is_no_prediction(
    visit: Any, models: Any, save: Any, tiny: Any
) -> None:
    import keras

    folder = models("flat")
    model = keras.models.clone_model(tiny("flat").model)
    model.set_weights(tiny("flat").model.get_weights())
    kernel = np.asarray(model.get_layer("conv1").kernel).copy()
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("conv1").kernel.assign(kernel)
    save(model, folder / "flat.keras")
    seen = visit("filters", input="0").fine()
    assert "1 weight of the layer “conv1” is not a number" in seen.text
    drawn = seen.values("one filter")
    np.testing.assert_array_equal(np.isnan(drawn), np.isnan(kernel[:, :, 0, 0]))
    assert "not numbers (NaN or infinite), in: conv1" in seen.text
    assert "not numbers (NaN or infinite), in: conv1" in seen.turn_to("activations").fine().text
    for page in ("explore", "class_activation_map"):
        seen.turn_to(page)
        (error,) = [one.value for one in seen.app.error]
        assert "conv1" in error
        assert seen.app.exception == []
