"""Training: watch a network learn, epoch by epoch."""

import streamlit as st

from cnnviz import trainer
from cnnviz.ui import shell, training_parts
from cnnviz.ui.scene import Scene

scene = shell.enter(
    "How does a network learn?",
    "Train a small network, and see its filters, its activations and its evidence change after "
    "each epoch: each time it has gone through all the photos. Everybody on this server watches "
    "the same training.",
)
watched = training_parts.pick_training()
if training_parts.allowed():
    training_parts.order(open_at_once=watched is None)
elif watched is None:
    st.info(
        "Training is switched off on this server, and there is no training to watch again.",
        icon=":material/block:",
    )
if watched is None:
    training_parts.follow(None)
    st.stop()
# What is below keeps its place, however much is told here.
with st.container():
    training_parts.follow(watched)
    training_parts.downloads(watched)
history = watched.history()
epochs = watched.kept(history)
drawn = st.container()
epoch = training_parts.pick_epoch(watched, epochs) if epochs else None
if history:
    with drawn:
        training_parts.curves(watched, history, epoch.number if epoch else None)
run = watched.run()
if epoch is not None and run is not None:
    of_photo, of_layer = st.columns(2, gap="large")
    with of_photo:
        photo = training_parts.pick_photo(watched, scene.photo)
    with of_layer:
        layer = training_parts.pick_activations(watched, run)
    network = trainer.checkpoint(run, epoch.checkpoint, trusted=watched.trusted)
    training_parts.look(Scene(network, photo), layer)
