"""The layers, operations and activations that a model may consist of; all else is refused.

The list holds what a network for pictures can use, and nothing that names code, a file, a
vocabulary or a function.
"""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MODELS: Final = {
    "Functional": "keras.src.models.functional",
    "Sequential": "keras",
}

_LAYERS: Final = """
    InputLayer Dense EinsumDense Embedding Activation Identity Masking
    Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
    DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
    MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    Flatten Reshape Permute RepeatVector
    Cropping1D Cropping2D Cropping3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    UpSampling1D UpSampling2D UpSampling3D
    BatchNormalization GroupNormalization LayerNormalization RMSNormalization
    UnitNormalization SpectralNormalization
    ReLU LeakyReLU PReLU ELU Softmax
    Add Average Concatenate Dot Maximum Minimum Multiply Subtract
    Attention AdditiveAttention MultiHeadAttention GroupQueryAttention
    Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D AlphaDropout
    GaussianDropout GaussianNoise ActivityRegularization
    LSTM GRU SimpleRNN ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional TimeDistributed
    Rescaling Normalization Resizing CenterCrop
    RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue
    RandomInvert RandomPerspective RandomPosterization RandomRotation RandomSaturation
    RandomSharpness RandomShear RandomTranslation RandomZoom
    AugMix AutoContrast Equalization RandAugment Solarization Pipeline
"""
LAYERS: Final = dict.fromkeys(_LAYERS.split(), "keras.layers") | {
    # Layers that Keras's own architectures define for themselves.
    "LayerScale": "keras.src.applications.convnext",
    "StochasticDepth": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
}

# Operations that `x + 1` or `keras.ops` put between the layers of a functional model. Those that
# take a function (Map, Scan, Cond, ...) or that make an array from nothing are not among them.
_OPERATIONS: Final = {
    "keras.src.ops.numpy": """
        Absolute Add All Any Amax Amin Arctan Argmax Argmin Average BroadcastTo Ceil Clip
        Concatenate Copy Cos CountNonzero Cumsum DivideNoNan Dot Einsum Equal Exp ExpandDims Expm1
        Flip Floor
        FloorDivide GetItem Greater GreaterEqual Hstack Isfinite Isinf Isnan Less LessEqual Log
        Log10 Log1p Log2 LogicalAnd LogicalNot LogicalOr Matmul Max Maximum Mean Median Min Minimum
        Mod Moveaxis Multiply NanToNum Negative NotEqual OnesLike Pad Power Prod Ravel Reciprocal
        Repeat Reshape Roll Rot90 Round Sign Sin Split Sqrt Square Squeeze Stack Std Subtract Sum
        Swapaxes Take Tanh Tensordot Tile Transpose TrueDivide Divide Trunc Var Vstack Where
        ZerosLike
    """,
    "keras.src.ops.nn": """
        AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm Celu DepthToSpace
        DotProductAttention Elu Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm
        LeakyRelu LogSigmoid LogSoftmax MaxPool Moments Normalize OneHot RMSNorm Relu Relu6 Selu
        Sigmoid Silu SoftShrink Softmax Softplus Softsign SpaceToDepth SparsePlus SparseSigmoid
        Sparsemax Squareplus TanhShrink Threshold
    """,
    "keras.src.ops.math": "Erf Logsumexp Rsqrt",
    "keras.src.ops.core": "Cast Slice StopGradient Unstack",
    "keras.src.ops.image": "CropImages ExtractPatches PadImages RGBToGrayscale Resize",
}
OPERATIONS: Final = {
    name: module for module, names in _OPERATIONS.items() for name in names.split()
}

ACTIVATIONS: Final = words(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
    leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax
    softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink
    threshold
    """
)
# Layers that may be the activation of another layer.
ACTIVATION_LAYERS: Final = frozenset({"ELU", "LeakyReLU", "ReLU", "Softmax"})
# What Keras 2 computes as `hard_sigmoid`, registered in `networks.keras2_activations`.
HARD_SIGMOID: Final = {
    "module": "builtins",
    "class_name": "function",
    "config": "cnnviz>keras2_hard_sigmoid",
    "registered_name": "cnnviz>keras2_hard_sigmoid",
}

POLICIES: Final = frozenset({"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})
# The number types that an input may have, or an operation may convert to.
NUMBERS: Final = words(
    """
    float16 float32 float64 bfloat16 bool int8 int16 int32 int64 uint8 uint16 uint32
    """
)

# Why a well-known class is refused; every other unknown one is an "unknown-class".
FORBIDDEN: Final = {
    "Lambda": "lambda-code",
    "__lambda__": "lambda-code",
    **dict.fromkeys(("TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"), "foreign-code"),
    **dict.fromkeys(
        words("""
        StringLookup IntegerLookup TextVectorization Hashing HashedCrossing FeatureSpace
        Discretization CategoryEncoding
        """),
        "text-layer",
    ),
    **dict.fromkeys(
        words("""
        TFOpLambda SlicingOpLambda TensorFlowOpLayer ClassMethod InstanceMethod InstanceProperty
        """),
        "tf-operation",
    ),
    "SyncBatchNormalization": "sync-normalization",
    "function": "function-reference",
}

# Settings that do not change what a layer computes.
IGNORED: Final = words("quantization_config lora_rank lora_alpha")
IGNORED_BY_KIND: Final = dict.fromkeys(
    ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), frozenset({"groups"})
)
