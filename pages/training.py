"""Training: watch a network learn, epoch by epoch."""

import streamlit as st

from cnnviz.serving import training_jobs
from cnnviz.ui import shell
from cnnviz.ui.page_parts import training
from cnnviz.ui.scene import Scene

scene = shell.enter(
    "How does a network learn?",
    "Train a small network, and see its filters, its activations and its evidence change after "
    "each epoch: each time it has gone through all the photos. Everybody on this server watches "
    "the same training.",
)
watched = training.pick_training()
if training.allowed():
    training.order(open_at_once=watched is None)
elif watched is None:
    st.info(
        "Training is switched off on this server, and there is no training to watch again.",
        icon=":material/block:",
    )
if watched is None:
    training.follow(None)
    st.stop()
# What is below keeps its place, however much is told here.
with st.container():
    training.follow(watched)
    training.downloads(watched)
history = watched.history()
epochs = watched.kept(history)
drawn = st.container()
epoch = training.pick_epoch(watched, epochs) if epochs else None
if history:
    with drawn:
        training.curves(watched, history, epoch.number if epoch else None)
run = watched.run()
if epoch is not None and run is not None:
    of_photo, of_layer = st.columns(2, gap="large")
    with of_photo:
        photo = training.pick_photo(watched, scene.photo)
    with of_layer:
        layer = training.pick_activations(watched, run)
    network = training_jobs.checkpoint(run, epoch.checkpoint, trusted=watched.trusted)
    training.look(Scene(network, photo, run.card), layer)
