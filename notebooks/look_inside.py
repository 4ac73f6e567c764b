# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Look inside a convolutional neural network
#
# This notebook opens a shipped network, asks it about photos, and shows its layers, filters,
# activations and class activation maps. It needs no internet access.
#
# It is a Python script in jupytext's percent form: open it in Jupyter with jupytext, in VS Code,
# or run it with `python notebooks/look_inside.py`. It writes two PNG files into the current folder.

# %%
from pathlib import Path

import numpy as np

import cnnviz
from cnnviz.arrays import rectify, tile
from cnnviz.figures.bars import confidence_bars
from cnnviz.figures.maps import heatmap
from cnnviz.figures.photos import map_overlay
from cnnviz.photos.samples import samples
from cnnviz.settings import read_settings

# %% [markdown]
# ## A network and a photo
#
# `cat_dog_lesson` has four convolutions, global average pooling and one dense layer. The card
# beside the model file has the class names and says how a photo becomes the network's input.

# %%
network = cnnviz.load_model(read_settings().models / "cat_dog_lesson.keras", trusted=True)
sample = {sample.name: sample for sample in samples()}["chelsea"]
photo = cnnviz.open_photo(sample.path)
print(f"{network.card.title}: {', '.join(network.card.labels)}")
print(f"{sample.title}: {photo.shape} {photo.dtype}")

# %% [markdown]
# ## Prediction

# %%
prediction = cnnviz.predict(network, photo)
for score in prediction.top(2):
    print(f"{score.label}: {score.probability:.4f}")

confidence_bars(
    [(score.label, score.probability) for score in prediction.top(2)], highlight=prediction.label
)

# %% [markdown]
# ## Layers
#
# Every layer with its output shape; `None` is the size of the batch.

# %%
for layer in network.layers:
    print(f"{layer.path:12} {layer.kind:24} {layer.output_shape!s:24} {layer.parameters:9,}")

# %% [markdown]
# ## Filters
#
# The kernels of a convolution have the shape (kh, kw, C_in, C_out), as in Keras.

# %%
filters = cnnviz.filters(network, "conv1")
kh, kw, c_in, c_out = filters.kernels.shape
print(f"{c_out} filters of {kh} × {kw} × {c_in}")
# One scale for the whole layer: the lowest weight is 0, the highest is 1.
scaled = cnnviz.scale_filters(filters.kernels, "layer")

# Side by side, 16 in a row.
heatmap(
    tile(scaled[:, :, 0, :], columns=16),
    title="Weights of conv1 for the red channel",
    unit="scaled weight",
    colours="gray",
)

# %% [markdown]
# ## Activations
#
# What each channel of a layer gives for the photo: (h, w, K).

# %%
maps = cnnviz.activations(network, photo, ["relu2"])["relu2"]
strongest = cnnviz.rank_channels(maps).order("mean")[:12]
print(f"relu2: {maps.shape}, strongest channels: {', '.join(map(str, strongest))}")

heatmap(
    tile(maps[..., strongest], columns=4),
    title="The 12 strongest channels of relu2",
    unit="activation",
    colours="teal",
)

# %% [markdown]
# ## Class activation map
#
# The map stays raw and signed: a positive cell is evidence for the class, a negative cell is
# evidence against it. This network averages its last maps straight into the dense layer, so the
# mean of the map plus the bias is the class's logit.

# %%
cam = cnnviz.class_activation_map(network, photo, "cat")
assert prediction.logits is not None
assert cam.bias is not None
logit = prediction.logits[network.card.labels.index("cat")]
print(f"{cam.method} of {cam.layer}, {cam.values.shape}")
print(f"mean + bias = {cam.values.mean() + cam.bias:.4f}, logit = {logit:.4f}")
np.testing.assert_allclose(cam.values.mean() + cam.bias, logit, rtol=1e-4)

map_overlay(
    photo,
    cam,
    network.card.preprocessing,
    title=f"Evidence for “{cam.target}”",
    unit="evidence (logit)",
)

# %% [markdown]
# The same map as a picture, over the photo in grey: the evidence for the class alone, in orange,
# and with that against it, in blue.

# %%
for name, signed in (("for", False), ("for_and_against", True)):
    picture = cnnviz.overlay(photo, cam, network.card.preprocessing, signed=signed)
    Path(f"evidence_{name}.png").write_bytes(cnnviz.encode_png(picture))

# %% [markdown]
# ## Grad-CAM of an earlier layer
#
# Grad-CAM works at every layer with maps and for every network. As in the paper, it is shown
# rectified.

# %%
grad_cam = cnnviz.class_activation_map(network, photo, "cat", method="grad-cam", layer="relu3")
print(f"{grad_cam.method} of {grad_cam.layer}, {grad_cam.values.shape}")
print(f"{np.mean(rectify(grad_cam.values) > 0):.0%} of the cells are evidence for the class")

# %% [markdown]
# ## Many photos
#
# `cnnviz.explain_many` decodes photos in threads while the network runs on batches; memory does
# not grow with their number. A photo that cannot be read gives a result with an error, and the
# others go on.

# %%
paths = [sample.path for sample in samples() if "cat_dog_lesson" in sample.models]
paths.append(Path("missing.jpg"))
for result in cnnviz.explain_many(network, paths):
    if result.explanation is None:
        print(f"{result.path.name}: {result.error}")
    else:
        print(f"{result.path.name}: {result.explanation.prediction.label}, {result.box}")
