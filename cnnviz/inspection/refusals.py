"""Why a model file is refused: a code for programs, and one sentence for people.

The sentences are fixed, so that no content of the file is ever shown, except for the name of a
TensorFlow function and the names of several models in an archive.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cnnviz.errors import RefusedModelError

_log = logging.getLogger(__name__)

REASONS: Final = {
    # The file.
    "not-a-model": (
        "This is not a Keras model: cnnviz reads .keras files, .h5 files that hold the layers "
        "together with the weights, and a ZIP file with one of these."
    ),
    "no-model-inside": "The ZIP file holds no Keras model: put one .keras or .h5 file into it.",
    "several-models": "The ZIP file holds several models: keep one, or give its file by itself.",
    "zip64": (
        "The ZIP file has the format ZIP64, which cnnviz does not read: pack the model again with "
        "another program, or give its .keras or .h5 file by itself."
    ),
    "folder": "This is a folder: give the .keras or .h5 file in it.",
    "lfs-pointer": (
        "This is a pointer of Git LFS, and the model itself was not downloaded: run 'git lfs pull' "
        "in the repository, or download the file from its page."
    ),
    "saved-model": (
        "This is a SavedModel of TensorFlow, which is a program: load it where it was made and "
        "save it with model.save('model.keras'), or export it as Keras."
    ),
    "keras-1": (
        "This was saved by Keras 1, of 2016: open it with Keras 2.2 and save it anew; cnnviz reads "
        "the files of Keras 2 and 3."
    ),
    "tflite": (
        "This is a model for TensorFlow Lite, without Keras's layers: export the model that it "
        "was converted from as .keras or .h5."
    ),
    "tensorflow-js": (
        "This is a model for TensorFlow.js: export it as Keras, or convert it with "
        "tensorflowjs_converter --output_format keras."
    ),
    "onnx": (
        "This is an ONNX model, and cnnviz reads Keras models: save the model that it was "
        "exported from with model.save('model.keras')."
    ),
    "pickle": (
        "This is a PyTorch model or another Python pickle, and cnnviz reads Keras models: build "
        "the network in Keras, copy its weights and save it as .keras."
    ),
    "safetensors": (
        "This holds weights in the format safetensors and no layers: build the network in Keras, "
        "copy its weights and save it as .keras."
    ),
    "layers-only": (
        "This describes layers and holds no weights: save the whole model with model.save(), not "
        "with to_json()."
    ),
    "web-page": (
        "This is a web page and not the model: the address led to a page about the file, so look "
        "there for its download."
    ),
    "other-archive": "This is a packed archive: unpack it and give the .keras or .h5 file in it.",
    "too-large": "The file is larger than 2 GB, the most that cnnviz opens.",
    "damaged-archive": "The file is damaged, or only a part of it arrived: save or upload it anew.",
    "unreadable": (
        "The file made the program that reads it crash or take too long: it is damaged, or it may "
        "be an attack."
    ),
    "missing-member": "The file lacks a part that every .keras file has: save the model anew.",
    "extra-member": (
        "The file holds more than a model: cnnviz opens .keras files as Keras wrote them."
    ),
    "duplicate-member": "The file holds the same part twice, so it is not clear which one counts.",
    "encrypted-member": "The file is encrypted: save the model without a password.",
    "exotic-compression": "The file is packed in a way that Keras never uses: save the model anew.",
    "path-traversal": "The file tries to write outside its own folder: it may be an attack.",
    "symlink": "The file points at other files on this computer: it may be an attack.",
    "zip-bomb": "The file unpacks to far more than it seems to hold: it may be an attack.",
    # The description: as text.
    "damaged-config": "The description of the layers cannot be read: save the model anew.",
    "too-long": "The description of the layers is far longer than any known network's.",
    "too-deep": "The description of the layers is nested too deeply.",
    "duplicate-key": "The description of a layer has the same entry twice.",
    "not-a-number": "The description of a layer holds a value that is not a finite number.",
    "huge-number": "The description of a layer holds a size that no real network has.",
    "huge-shape": "A layer's input or output is far too large to compute.",
    "odd-text": "The description of a layer holds a text that is too long or cannot be printed.",
    # The description: as layers.
    "lambda-code": (
        "The model has a Lambda layer, which is a piece of program: cnnviz does not run programs "
        "from a model file; use Keras's own layers instead."
    ),
    "foreign-code": (
        "The model wraps a program of another library: cnnviz shows networks that are made of "
        "Keras's own layers."
    ),
    "tf-operation": (
        "Between its layers the model uses a TensorFlow function, which cnnviz cannot turn into "
        "an operation of Keras 3: use a Keras layer or keras.ops, and save the model anew."
    ),
    "text-layer": "The model works on text or tables: cnnviz shows networks that look at pictures.",
    "custom-object": (
        "The model uses a class of its own, and its program is not in the file: build it from "
        "Keras's own layers."
    ),
    "unknown-class": (
        "The model uses a kind of layer that is not one of Keras's layers for pictures."
    ),
    "unknown-object": "A layer's description holds something that is not plain data.",
    "function-reference": (
        "A layer names a function: the only functions allowed are Keras's activations."
    ),
    "weights-of-an-activation": (
        "The activation of a layer has weights of its own (PReLU), which Keras 3 cannot load: use "
        "PReLU as a layer of its own, and save the model anew."
    ),
    "sync-normalization": (
        "The model has SyncBatchNormalization, whose weights Keras 3 does not find in a .keras "
        "file: save it as .h5 with Keras 2."
    ),
    "interpolation": (
        "A layer resizes pictures with an interpolation that Keras 3 does not have (gaussian, "
        "mitchellcubic): use bilinear or bicubic, and save the model anew."
    ),
    "unknown-activation": "A layer uses an activation that is not one of Keras's.",
    "dtype-policy": "A layer computes with an unusual type of numbers.",
    "odd-config": "The description of a layer is not as Keras writes it.",
    "odd-name": (
        "A layer's name is empty, too long, or has a slash or characters that cannot be printed."
    ),
    "broken-graph": (
        "The layers are not connected as they should be: one takes its input from nowhere."
    ),
    "too-many-layers": "The model has more layers than any known network.",
    "multi-gpu": (
        "The model was saved for several graphics cards at once: the real model is inside it, and "
        "can be taken out."
    ),
    # The weights.
    "damaged-weights": "The weights cannot be read: save the model anew.",
    "odd-hdf5": (
        "The weights are in a newer form of HDF5, which Keras writes only for names with letters "
        "outside ASCII: give the layers plain names, or save the model anew with Keras."
    ),
    "weights-only": (
        "The file holds weights and no layers: save the whole model with model.save(), not with "
        "save_weights()."
    ),
    "no-weights": (
        "The model holds no weights: it was saved before it knew the size of its input; call it "
        "once on a picture and save it again."
    ),
    "weights-missing": "The model declares more weights than the file holds.",
    "too-many-parameters": "The model has more than 150 million parameters, the most cnnviz opens.",
    "external-link": "The weights point at another file on this computer: it may be an attack.",
    "soft-link": "The weights are linked in a way that Keras never uses.",
    "external-storage": "The weights are in another file on this computer: it may be an attack.",
    "virtual-data": "The weights are put together from other files: it may be an attack.",
    "odd-type": "Among the weights is something that is not an array of numbers.",
    "odd-filter": "The weights are packed in a way that Keras never uses.",
    "weights-bomb": "The weights unpack to far more than the file holds: it may be an attack.",
    "too-many-arrays": "The file holds more arrays than any known network.",
    "shared-storage": "Two entries of the weights are one and the same, which Keras never writes.",
}


def refusal(code: str, *, function: str = "") -> RefusedModelError:
    """The error for a code of ``REASONS``.

    Args:
        code: the code.
        function: the name of the TensorFlow function that ``tf-operation`` is about.
    """
    sentence = REASONS[code]
    if function:
        sentence = sentence.replace("a TensorFlow function", function)
    return RefusedModelError(sentence, code)


@contextmanager
def refusing(code: str) -> Iterator[None]:
    """Turns every error that a library raises on a malformed file into one refusal.

    Raises:
        RefusedModelError: with `code`; a refusal from inside keeps its own.
    """
    try:
        yield
    except RefusedModelError:
        raise
    # zipfile, zlib, json and h5py raise anything from struct.error to RuntimeError.
    except Exception as error:
        _log.info("refused as %s", code, exc_info=error)
        raise refusal(code) from error
