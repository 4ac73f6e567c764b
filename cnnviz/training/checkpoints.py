"""The files of a training: its configuration, checkpoints, history and state; how it resumes."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cnnviz.errors import TrainingError
from cnnviz.storage import replace_file
from cnnviz.training.runs import (
    Epoch,
    TrainingConfig,
    best_of,
    finished,
    read_history,
    write_history,
)
from cnnviz.training.schedule import is_finished
from cnnviz.training.setup import TrainingSetup, build_network

_CONFIG = "plan.json"
_STATE = "state.npz"
_LOGS = "logs"


def create_folder(setup: TrainingSetup) -> None:
    """Creates the folder of a new training, with its card and configuration.

    Raises:
        TrainingError: the folder contains a training already.
    """
    folder = setup.run.folder
    if (folder / _CONFIG).exists():
        raise TrainingError(
            f"{folder} holds a training already. Go on with it by --resume, or delete it."
        )
    folder.mkdir(parents=True, exist_ok=True)
    setup.run.write_card()
    _write_config(folder, setup.config)


def _write_config(folder: Path, config: TrainingConfig) -> None:
    text = json.dumps(asdict(config), indent=1) + "\n"
    replace_file(folder / _CONFIG, text.encode())


def resume(setup: TrainingSetup, epochs: int | None) -> tuple[TrainingSetup, list[Epoch]]:
    """A training as it goes on, and its history: empty where it begins anew.

    Files of an epoch that was not finished are deleted: it is trained again.

    Args:
        setup: as it is requested.
        epochs: the requested maximum; that of the training if None. A finished training can go on
            with more.

    Raises:
        TrainingError: there is no training, it has another configuration, or it is damaged.
    """
    folder = setup.run.folder
    config = _stored_config(setup)
    history = _finished_epochs(setup)
    if epochs not in {None, config.epochs}:
        if epochs < config.epochs or not is_finished(config, history):
            raise TrainingError(
                f"The training in {folder} was begun with epochs {config.epochs}, of which "
                f"{finished(history)} are done. Go on with it by --resume alone; a finished "
                f"training can go on with more than {config.epochs} epochs."
            )
        config = replace(config, epochs=epochs, continued_after=finished(history))
        if setup.writes_files:
            _write_config(folder, config)
    return replace(setup, config=config), history


def _finished_epochs(setup: TrainingSetup) -> list[Epoch]:
    folder = setup.run.folder
    if not (folder / _STATE).exists():
        return []
    count = int(_read_arrays(folder / _STATE)["epoch"])
    history = [epoch for epoch in read_history(folder) if epoch.number <= count]
    if [epoch.number for epoch in history if epoch.number] != list(range(1, count + 1)):
        raise TrainingError(f"{folder} is damaged: its history lacks epochs. Begin anew.")
    if setup.writes_files:
        _delete_except(setup, {epoch.checkpoint for epoch in history})
        write_history(folder, history)
        # TensorBoard reads all files of a folder: an epoch that is trained again would show twice.
        shutil.rmtree(folder / _LOGS, ignore_errors=True)
        for epoch in history:
            _write_tensorboard(folder / _LOGS, epoch)
    return history


def _stored_config(setup: TrainingSetup) -> TrainingConfig:
    """The stored configuration, compared with the requested one except for the epochs."""
    folder = setup.run.folder
    path = folder / _CONFIG
    if not path.exists():
        raise TrainingError(f"There is no training in {folder} to go on with.")
    try:
        stored = TrainingConfig(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise _damaged(path) from error
    requested = replace(setup.config, epochs=stored.epochs, continued_after=stored.continued_after)
    before = asdict(stored)
    different = [
        f"{name} {before[name]!r}"
        for name, value in asdict(requested).items()
        if before[name] != value
    ]
    if different:
        raise TrainingError(
            f"The training in {folder} was begun with {', '.join(different)}. To go on it needs "
            "the same."
        )
    return stored


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> TrainingError:
    return TrainingError(f"{path} is damaged. Delete its folder, and begin anew.")


def save_epoch(
    setup: TrainingSetup, network: keras.Model, variables: Sequence[Any], history: list[Epoch]
) -> None:
    """Writes the checkpoint of the last epoch, then the history, then the state to resume from.

    Args:
        setup: the training.
        network: as it is after the last epoch.
        variables: everything that changes during a training.
        history: the untrained network and the finished epochs.
    """
    folder = setup.run.folder
    # The folder may be read at any time: a file gets its name when it is complete.
    part = folder / "checkpoint.part.keras"
    in_float32(setup, network).save(part)
    part.replace(folder / history[-1].checkpoint)
    write_history(folder, history)
    _write_tensorboard(folder / _LOGS, history[-1])
    part = folder / f"{_STATE}.part.npz"
    values = (keras.ops.convert_to_numpy(variable) for variable in variables)
    arrays = {f"v{index:04}": value for index, value in enumerate(values)}
    np.savez(part, epoch=np.array(finished(history)), **arrays)
    part.replace(folder / _STATE)
    if setup.keep_best:
        _delete_except(setup, {best_of(history).checkpoint})


def _delete_except(setup: TrainingSetup, kept: set[str]) -> None:
    """Deletes all checkpoints but some."""
    for path in setup.run.checkpoints():
        if path.name not in kept:
            path.unlink()


def restore_state(setup: TrainingSetup, variables: Sequence[Any]) -> None:
    """Sets the variables to their values after the last finished epoch.

    Raises:
        TrainingError: the state is damaged or of another network.
    """
    path = setup.run.folder / _STATE
    arrays = _read_arrays(path)
    names = sorted(set(arrays) - {"epoch"})
    if len(names) != len(variables):
        raise TrainingError(f"{path} does not belong to this training. Begin anew.")
    for name, variable in zip(names, variables, strict=True):
        variable.assign(arrays[name])


def in_float32(setup: TrainingSetup, network: keras.Model) -> keras.Model:
    """The network with all layers in float32, which every machine can run."""
    if all(layer.dtype_policy.compute_dtype == "float32" for layer in network.layers):
        return network
    copy = build_network(setup)
    copy.set_weights(network.get_weights())
    return copy


def _write_tensorboard(folder: Path, epoch: Epoch) -> None:
    """Adds a point to TensorBoard's curves; needs no TensorBoard."""
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    )
    for name, loss, accuracy in (
        ("training", epoch.loss, epoch.accuracy),
        ("validation", epoch.val_loss, epoch.val_accuracy),
    ):
        if loss is None:
            continue
        writer = tf.summary.create_file_writer(str(folder / name))
        with writer.as_default(step=epoch.number):
            tf.summary.write("loss", loss, metadata=metadata)
            tf.summary.write("accuracy", accuracy, metadata=metadata)
        writer.close()
