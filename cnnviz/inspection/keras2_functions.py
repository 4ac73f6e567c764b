"""Which operation of Keras 3 computes the same as a TensorFlow function.

`tests/corpus/keras2` has a network with each of them, and what Keras 2 computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Rule:
    """How an operation of Keras 3 computes a TensorFlow function.

    Attributes:
        kind: the class of the operation.
        operands: the arguments after the first that are tensors or constants.
        settings: the names of the function's settings, and what the operation calls them.
        fixed: settings of the operation where the call has none.
        neutral: settings that the operation does not have, allowed with this value alone.
        same_rank: the output has as many axes as the operands.
        constants: the type of numbers of an operand that is a list.
        of_layer: `kind` is a layer and not an operation.
    """

    kind: str
    operands: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    neutral: Mapping[str, Any] = field(default_factory=dict)
    same_rank: bool = False
    constants: str = "float32"
    of_layer: bool = False


_LAST: Final = {"data_format": "channels_last"}
_NHWC: Final = {"data_format": "NHWC"}
_AXIS: Final = {"axis": "axis"}
_POOL: Final = {"ksize": "pool_size", "strides": "strides", "padding": "padding"}
_BLOCK: Final = {"block_size": "block_size"}
_PLAIN_PRODUCT: Final = {
    "adjoint_a": False,
    "adjoint_b": False,
    "a_is_sparse": False,
    "b_is_sparse": False,
}


def _pairs(text: str) -> list[list[str]]:
    return [pair.split(":") for pair in text.split()]


RULES: Final = {
    **{
        f"math.{name}": Rule(kind, ("y",), same_rank=True)
        for name, kind in _pairs(
            """
            add:Add subtract:Subtract multiply:Multiply truediv:TrueDivide
            divide_no_nan:DivideNoNan pow:Power maximum:Maximum minimum:Minimum floormod:Mod
            greater:Greater greater_equal:GreaterEqual less:Less less_equal:LessEqual
            """
        )
    },
    "__operators__.add": Rule("Add", ("y",), same_rank=True),
    "compat.v1.floor_div": Rule("FloorDivide", ("y",), same_rank=True),
    **{
        f"math.{name}": Rule(kind, same_rank=True)
        for name, kind in _pairs(
            """
            abs:Absolute negative:Negative square:Square sqrt:Sqrt rsqrt:Rsqrt exp:Exp log:Log
            log1p:Log1p sin:Sin cos:Cos sign:Sign floor:Floor ceil:Ceil round:Round
            reciprocal:Reciprocal tanh:Tanh sigmoid:Sigmoid softplus:Softplus erf:Erf
            """
        )
    },
    **{
        f"math.reduce_{name}": Rule(kind, settings={"axis": "axis", "keepdims": "keepdims"})
        for name, kind in _pairs("mean:Mean sum:Sum max:Max min:Min std:Std variance:Var prod:Prod")
    },
    "math.argmax": Rule("Argmax", (), _AXIS, {"axis": 0}),
    "math.l2_normalize": Rule(
        "Normalize",
        (),
        {"axis": "axis", "epsilon": "epsilon"},
        {"order": 2, "epsilon": 1e-6},
        same_rank=True,
    ),
    "math.add_n": Rule("Add", same_rank=True, of_layer=True),
    **{
        f"nn.{name}": Rule(kind, same_rank=True)
        for name, kind in _pairs("relu:Relu relu6:Relu6 elu:Elu selu:Selu softsign:Softsign")
    },
    "nn.silu": Rule("Silu", neutral={"beta": 1.0}, same_rank=True),
    "nn.gelu": Rule(
        "Gelu", (), {"approximate": "approximate"}, {"approximate": False}, same_rank=True
    ),
    "nn.leaky_relu": Rule(
        "LeakyRelu", (), {"alpha": "negative_slope"}, {"negative_slope": 0.2}, same_rank=True
    ),
    "nn.softmax": Rule("Softmax", (), _AXIS, same_rank=True),
    "nn.log_softmax": Rule("LogSoftmax", (), _AXIS, same_rank=True),
    "nn.bias_add": Rule("Add", ("bias",), neutral=_NHWC, same_rank=True),
    "nn.avg_pool2d": Rule("AveragePool", (), _POOL, _LAST, _NHWC, same_rank=True),
    "nn.max_pool2d": Rule("MaxPool", (), _POOL, _LAST, _NHWC, same_rank=True),
    "nn.depth_to_space": Rule("DepthToSpace", (), _BLOCK, _LAST, _NHWC, same_rank=True),
    "nn.space_to_depth": Rule("SpaceToDepth", (), _BLOCK, _LAST, _NHWC, same_rank=True),
    "reshape": Rule("Reshape", (), {"shape": "newshape"}),
    "compat.v1.transpose": Rule(
        "Transpose", (), {"perm": "axes"}, {}, {"conjugate": False}, same_rank=True
    ),
    "expand_dims": Rule("ExpandDims", (), _AXIS),
    "compat.v1.squeeze": Rule("Squeeze", (), _AXIS),
    "cast": Rule("Cast", (), {"dtype": "dtype"}, same_rank=True),
    "clip_by_value": Rule(
        "Clip", (), {"clip_value_min": "x_min", "clip_value_max": "x_max"}, same_rank=True
    ),
    "compat.v1.pad": Rule(
        "Pad",
        (),
        {"paddings": "pad_width", "mode": "mode"},
        neutral={"constant_values": 0},
        same_rank=True,
    ),
    "reverse": Rule("Flip", (), _AXIS, same_rank=True),
    "tile": Rule("Tile", (), {"multiples": "repeats"}, same_rank=True),
    "identity": Rule("Copy", same_rank=True),
    "stop_gradient": Rule("StopGradient", same_rank=True),
    "zeros_like": Rule("ZerosLike", same_rank=True),
    "ones_like": Rule("OnesLike", same_rank=True),
    "where": Rule("Where", ("x", "y"), same_rank=True),
    "compat.v1.gather": Rule(
        "Take", ("indices",), _AXIS, {"axis": 0}, {"batch_dims": 0}, constants="int32"
    ),
    "concat": Rule("Concatenate", (), _AXIS, same_rank=True),
    "stack": Rule("Stack", (), _AXIS, {"axis": 0}),
    "split": Rule(
        "Split", (), {"num_or_size_splits": "indices_or_sections", **_AXIS}, same_rank=True
    ),
    "unstack": Rule("Unstack", (), {"axis": "axis", "num": "num"}),
    "image.rgb_to_grayscale": Rule("RGBToGrayscale", (), {}, _LAST, same_rank=True),
    "image.resize": Rule(
        "Resize",
        (),
        {"size": "size", "method": "interpolation", "antialias": "antialias"},
        {"antialias": False, **_LAST},
        {"preserve_aspect_ratio": False},
        same_rank=True,
    ),
    "linalg.matmul": Rule(
        "Matmul",
        ("b",),
        {"transpose_a": "transpose_a", "transpose_b": "transpose_b"},
        neutral=_PLAIN_PRODUCT,
    ),
    "tensordot": Rule("Tensordot", ("b",), {"axes": "axes"}),
    "__operators__.getitem": Rule("GetItem", ("slice_spec",)),
}
