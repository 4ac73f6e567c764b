"""cnnviz: look inside a saved Keras network, and be sure that what you see is true.

    network = cnnviz.load_model("models/cat_dog.keras")
    photo = cnnviz.open_photo("cat.jpg")
    cnnviz.predict(network, photo).top(3)

Importing the package is quick: TensorFlow is imported when a function first needs it.
``help(cnnviz)`` lists the functions, the types that they return and the errors that they raise.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnviz.arrays import scale_filters as scale_filters
    from cnnviz.attribution.comparison import compare as compare
    from cnnviz.attribution.explanations import class_activation_map as class_activation_map
    from cnnviz.attribution.explanations import explain as explain
    from cnnviz.attribution.explanations import methods as methods
    from cnnviz.attribution.formulas import contrast_picture as contrast_picture
    from cnnviz.attribution.judging import consistency as consistency
    from cnnviz.attribution.judging import judge as judge
    from cnnviz.attribution.judging import map_consistency as map_consistency
    from cnnviz.attribution.localization import contours as contours
    from cnnviz.attribution.localization import find_box as find_box
    from cnnviz.attribution.localization import find_boxes as find_boxes
    from cnnviz.attribution.localization import find_parts as find_parts
    from cnnviz.attribution.map_traces import trace_class_map as trace_class_map
    from cnnviz.attribution.measuring import measure as measure
    from cnnviz.attribution.outlines import outline as outline
    from cnnviz.attribution.smallest_parts import smallest_part as smallest_part
    from cnnviz.attribution.stages import explain_stages as explain_stages
    from cnnviz.batch.exemplar_search import see_photos as see_photos
    from cnnviz.batch.pipeline import explain_many as explain_many
    from cnnviz.cards import Accuracy as Accuracy
    from cnnviz.cards import Confusion as Confusion
    from cnnviz.cards import ModelCard as ModelCard
    from cnnviz.cards import Preprocessing as Preprocessing
    from cnnviz.cards import SuggestedLayers as SuggestedLayers
    from cnnviz.cards import Training as Training
    from cnnviz.drawing import overlay as overlay
    from cnnviz.errors import CardError as CardError
    from cnnviz.errors import CnnvizError as CnnvizError
    from cnnviz.errors import DataError as DataError
    from cnnviz.errors import LayerError as LayerError
    from cnnviz.errors import ModelError as ModelError
    from cnnviz.errors import PhotoError as PhotoError
    from cnnviz.errors import RefusedModelError as RefusedModelError
    from cnnviz.errors import StorageError as StorageError
    from cnnviz.errors import TargetError as TargetError
    from cnnviz.errors import TrainingError as TrainingError
    from cnnviz.exports import comparison_json as comparison_json
    from cnnviz.features.class_exemplars import find_class_exemplars as find_class_exemplars
    from cnnviz.features.exemplars import find_exemplars as find_exemplars
    from cnnviz.features.maximization import maximise as maximise
    from cnnviz.features.maximization import usual_ascents as usual_ascents
    from cnnviz.features.objectives import Ascent as Ascent
    from cnnviz.features.objectives import Maximised as Maximised
    from cnnviz.features.objectives import Objective as Objective
    from cnnviz.features.objectives import PictureCheck as PictureCheck
    from cnnviz.figures.comparison import comparison_picture as comparison_picture
    from cnnviz.networks.arithmetic import trace_value as trace_value
    from cnnviz.networks.channels import ChannelRanking as ChannelRanking
    from cnnviz.networks.channels import rank_channels as rank_channels
    from cnnviz.networks.feature_maps import activations as activations
    from cnnviz.networks.kernels import filters as filters
    from cnnviz.networks.loading import extract_model as extract_model
    from cnnviz.networks.loading import load_model as load_model
    from cnnviz.networks.loading import network as network
    from cnnviz.networks.network import Network as Network
    from cnnviz.networks.predictions import predict as predict
    from cnnviz.networks.structure import ModelStructure as ModelStructure
    from cnnviz.photos.decoding import open_photo as open_photo
    from cnnviz.photos.encoding import encode_png as encode_png
    from cnnviz.photos.masking import occlude as occlude
    from cnnviz.photos.preprocessing import NetworkView as NetworkView
    from cnnviz.photos.sources import SeenPhoto as SeenPhoto
    from cnnviz.results import Box as Box
    from cnnviz.results import ChannelExemplars as ChannelExemplars
    from cnnviz.results import ClassActivationMap as ClassActivationMap
    from cnnviz.results import ClassExemplar as ClassExemplar
    from cnnviz.results import ClassExemplars as ClassExemplars
    from cnnviz.results import ComparedAnswer as ComparedAnswer
    from cnnviz.results import ComparedCell as ComparedCell
    from cnnviz.results import ComparedMethod as ComparedMethod
    from cnnviz.results import Comparison as Comparison
    from cnnviz.results import Consistency as Consistency
    from cnnviz.results import Exemplar as Exemplar
    from cnnviz.results import Exemplars as Exemplars
    from cnnviz.results import Explanation as Explanation
    from cnnviz.results import Faithfulness as Faithfulness
    from cnnviz.results import Filters as Filters
    from cnnviz.results import FoundPart as FoundPart
    from cnnviz.results import LayerCall as LayerCall
    from cnnviz.results import LayerInfo as LayerInfo
    from cnnviz.results import MapScore as MapScore
    from cnnviz.results import Outline as Outline
    from cnnviz.results import PartSearch as PartSearch
    from cnnviz.results import PhotoResult as PhotoResult
    from cnnviz.results import Prediction as Prediction
    from cnnviz.results import Score as Score
    from cnnviz.results import SmallestPart as SmallestPart
    from cnnviz.results import Verdict as Verdict
    from cnnviz.results import WeightStatistics as WeightStatistics
    from cnnviz.traces import CellFields as CellFields
    from cnnviz.traces import ClassTerms as ClassTerms
    from cnnviz.traces import ListedChannels as ListedChannels
    from cnnviz.traces import ReceptiveField as ReceptiveField
    from cnnviz.traces import StagedExplanation as StagedExplanation
    from cnnviz.traces import StageMaps as StageMaps
    from cnnviz.traces import TraceInput as TraceInput
    from cnnviz.traces import TraceStep as TraceStep
    from cnnviz.traces import TraceTerm as TraceTerm
    from cnnviz.traces import Units as Units
    from cnnviz.traces import ValueTrace as ValueTrace
    from cnnviz.training.data.manifest import Prepared as Prepared
    from cnnviz.training.data.manifest import Row as Row
    from cnnviz.training.data.manifest import read_prepared as read_prepared
    from cnnviz.training.data.photos import prepare_photos as prepare_photos
    from cnnviz.training.data.pixels import prepare_pixels as prepare_pixels
    from cnnviz.training.loop import train as train
    from cnnviz.training.runs import BatchFigures as BatchFigures
    from cnnviz.training.runs import Epoch as Epoch
    from cnnviz.training.runs import TrainingStatus as TrainingStatus

__version__ = "0.2.0"

# TensorFlow uses oneDNN by itself on newer processors alone; without it there are no convolutions
# of channels that come first. Before it is imported: then it is the same on all machines.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# The module of each public name.
_MODULES = {
    "Accuracy": "cards",
    "Ascent": "features.objectives",
    "BatchFigures": "training.runs",
    "Box": "results",
    "CardError": "errors",
    "CellFields": "traces",
    "ChannelExemplars": "results",
    "ChannelRanking": "networks.channels",
    "ClassActivationMap": "results",
    "ClassExemplar": "results",
    "ClassExemplars": "results",
    "ClassTerms": "traces",
    "CnnvizError": "errors",
    "ComparedAnswer": "results",
    "ComparedCell": "results",
    "ComparedMethod": "results",
    "Comparison": "results",
    "Confusion": "cards",
    "Consistency": "results",
    "DataError": "errors",
    "Epoch": "training.runs",
    "Exemplar": "results",
    "Exemplars": "results",
    "Explanation": "results",
    "Faithfulness": "results",
    "Filters": "results",
    "FoundPart": "results",
    "LayerCall": "results",
    "LayerError": "errors",
    "LayerInfo": "results",
    "MapScore": "results",
    "ListedChannels": "traces",
    "Maximised": "features.objectives",
    "ModelCard": "cards",
    "ModelError": "errors",
    "ModelStructure": "networks.structure",
    "Network": "networks.network",
    "NetworkView": "photos.preprocessing",
    "Objective": "features.objectives",
    "Outline": "results",
    "PartSearch": "results",
    "PhotoError": "errors",
    "PhotoResult": "results",
    "PictureCheck": "features.objectives",
    "Prediction": "results",
    "Prepared": "training.data.manifest",
    "Preprocessing": "cards",
    "ReceptiveField": "traces",
    "RefusedModelError": "errors",
    "Row": "training.data.manifest",
    "Score": "results",
    "SeenPhoto": "photos.sources",
    "SmallestPart": "results",
    "StageMaps": "traces",
    "StagedExplanation": "traces",
    "StorageError": "errors",
    "SuggestedLayers": "cards",
    "TargetError": "errors",
    "TraceInput": "traces",
    "TraceStep": "traces",
    "TraceTerm": "traces",
    "Training": "cards",
    "TrainingError": "errors",
    "TrainingStatus": "training.runs",
    "Units": "traces",
    "ValueTrace": "traces",
    "Verdict": "results",
    "WeightStatistics": "results",
    "activations": "networks.feature_maps",
    "class_activation_map": "attribution.explanations",
    "compare": "attribution.comparison",
    "comparison_json": "exports",
    "comparison_picture": "figures.comparison",
    "consistency": "attribution.judging",
    "contours": "attribution.localization",
    "contrast_picture": "attribution.formulas",
    "encode_png": "photos.encoding",
    "explain": "attribution.explanations",
    "explain_many": "batch.pipeline",
    "explain_stages": "attribution.stages",
    "extract_model": "networks.loading",
    "filters": "networks.kernels",
    "find_class_exemplars": "features.class_exemplars",
    "find_exemplars": "features.exemplars",
    "find_box": "attribution.localization",
    "find_boxes": "attribution.localization",
    "find_parts": "attribution.localization",
    "judge": "attribution.judging",
    "load_model": "networks.loading",
    "map_consistency": "attribution.judging",
    "maximise": "features.maximization",
    "measure": "attribution.measuring",
    "methods": "attribution.explanations",
    "network": "networks.loading",
    "occlude": "photos.masking",
    "open_photo": "photos.decoding",
    "outline": "attribution.outlines",
    "overlay": "drawing",
    "predict": "networks.predictions",
    "prepare_photos": "training.data.photos",
    "prepare_pixels": "training.data.pixels",
    "rank_channels": "networks.channels",
    "read_prepared": "training.data.manifest",
    "scale_filters": "arrays",
    "see_photos": "batch.exemplar_search",
    "smallest_part": "attribution.smallest_parts",
    "trace_class_map": "attribution.map_traces",
    "trace_value": "networks.arithmetic",
    "train": "training.loop",
    "usual_ascents": "features.maximization",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'cnnviz' has no attribute {name!r}")
    return getattr(importlib.import_module(f"cnnviz.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
