"""Limits on the sizes in a model file: generous for real networks, small for attacks."""

from __future__ import annotations

from typing import Final

# --- The file ---------------------------------------------------------------------------------
MAX_FILE_BYTES: Final = 2 << 30  # VGG16 with the state of its optimizer has 1.7 GB
MAX_JSON_BYTES: Final = 8 << 20  # NASNetMobile's description has 0.8 MB
MAX_EXPANSION: Final = 50  # unpacked to packed; weights can hardly be compressed
MAX_LABELS_BYTES: Final = 1 << 20  # of a labels.txt
SMALL: Final = 4 << 20  # the limit on expansion holds above this many bytes

# --- The process that reads it ----------------------------------------------------------------
CHILD_BYTES: Final = 4 << 30  # the file itself is mapped into memory
CHILD_SECONDS: Final = 120  # 2 GB are read and written in 20 s
MAX_COPY_BYTES: Final = 3 << 30

# --- The description --------------------------------------------------------------------------
MAX_DEPTH: Final = 64  # of JSON; a flat model has 11 levels, each nested one adds 4
MAX_VALUES: Final = 500_000  # of JSON; NASNetMobile has 46,000
MAX_TEXT: Final = 256
MAX_NUMBER: Final = 1 << 20
MAX_FLOAT: Final = 1e38
MAX_NESTING: Final = 10  # models in models
MAX_LAYERS: Final = 2_000  # NASNetLarge has 1,041
MAX_CALLS: Final = 5_000  # of layers in one run: those of a model count at each of its calls
MAX_STACK: Final = 200  # layers of one Sequential, which Keras builds in quadratic time
MAX_VALUES_OF_A_SHAPE: Final = 60_000_000
MAX_PARAMETERS: Final = 150_000_000  # VGG16 has 138 million

# The largest value of a number with this name in the description; MAX_NUMBER of all others.
MAX_BY_NAME: Final = {
    "filters": 16_384,
    "units": 65_536,
    "kernel_size": 256,
    "strides": 1_024,
    "pool_size": 4_096,
    "dilation_rate": 1_024,
    "output_padding": 64,
    "padding": 4_096,
    "cropping": 8_192,
    "size": 8_192,
    "output_size": 4_096,
    "height": 8_192,
    "width": 8_192,
    "depth_multiplier": 1_024,
    "groups": 16_384,
    "num_heads": 1_024,
    "num_query_heads": 1_024,
    "num_key_value_heads": 1_024,
    "head_dim": 65_536,
    "key_dim": 65_536,
    "value_dim": 65_536,
    "n": 65_536,
    "bins": 65_536,
    "num_ops": 64,
    "num_chains": 64,
    "chain_depth": 64,
    "power_iterations": 64,
    # Of operations.
    "repeats": 4_096,
    "pad_width": 4_096,
    "num_classes": 65_536,
    "block_size": 64,
    "num": 1_024,
    "target_height": 8_192,
    "target_width": 8_192,
    "top_padding": 8_192,
    "bottom_padding": 8_192,
    "left_padding": 8_192,
    "right_padding": 8_192,
}
# Settings that multiply the sides of a picture: Keras crashed at a transposed stride of 1,000,000.
MAX_GROWTH: Final = 64
GROWING: Final = {
    "Conv1DTranspose": "strides",
    "Conv2DTranspose": "strides",
    "Conv3DTranspose": "strides",
    "UpSampling1D": "size",
    "UpSampling2D": "size",
    "UpSampling3D": "size",
}
# Lists of sizes whose product is a number of values.
SHAPES: Final = frozenset(
    {"batch_shape", "build_input_shape", "newshape", "output_shape", "shape", "target_shape"}
)

# --- The weights (HDF5) -----------------------------------------------------------------------
MAX_OBJECTS: Final = 20_000  # groups and arrays
MAX_HDF5_DEPTH: Final = 64
MAX_PARTS: Final = 1_000_000  # of the file's structure; six for each array
MAX_RANK: Final = 8
MAX_CHUNK_BYTES: Final = 64 << 20
MAX_CHUNKS: Final = 10_000
BLOCK_BYTES: Final = 16 << 20  # copied at a time
