"""Training: watch a network learn, epoch by epoch."""

import streamlit as st

from cnnviz.ui import shell
from cnnviz.ui.page_parts.training import form, network, progress, replay, trying, views

scene = shell.enter(
    "How does a network learn?",
    "Train a small network, and see its filters, its activations and its evidence change after "
    "each epoch: each time it has gone through all the photos. Everybody on this server watches "
    "the same training.",
)
view = views.pick()
if form.is_allowed():
    form.draw(open_at_once=view is None)
elif view is None:
    st.info(
        "Training is switched off on this server, and there is no training to watch again.",
        icon=":material/block:",
    )
if view is None:
    progress.follow(None)
    st.stop()
# In one container, so that elements below keep their positions.
with st.container():
    progress.follow(view)
    progress.downloads(view)
    trying.draw(view)
history = view.history()
epochs = view.with_checkpoint(history)
curves = st.container()
replayed = replay.is_chosen(view, epochs)
epoch = network.pick_epoch(view, epochs) if epochs and not replayed else None
if history:
    with curves:
        progress.curves(view, history, epoch.number if epoch else None)
run = view.run()
if epochs and run is not None:
    of_photo, of_layer = st.columns(2, gap="large")
    with of_photo:
        photo, label = network.pick_photo(view, scene.photo)
    with of_layer:
        layer = network.pick_layer(view, run)
    if epoch is None:
        replay.draw(view, run, epochs, photo, label, layer)
    else:
        after = network.after(epoch, view, run, photo)
        network.draw(after, layer)
        network.draw_exemplars(after)
