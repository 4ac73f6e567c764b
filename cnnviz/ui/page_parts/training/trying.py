"""What comes after a training: its model, chosen, on the pages that ask it about a photo."""

from __future__ import annotations

import streamlit as st

from cnnviz.ui import shell
from cnnviz.ui.page_parts.training.views import TrainingView
from cnnviz.ui.sidebar import network_choice


def draw(view: TrainingView) -> None:
    """Buttons that lead to pages with the model of a finished training; none where it has none."""
    job = view.job
    if job is None:
        return
    names = [name for name, model in shell.networks().items() if model.path == str(job.model)]
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Try it: choose a photo**")
        for page, label, icon in (
            ("explore", "Explore", ":material/travel_explore:"),
            ("class_activation_map", "Class activation map", ":material/center_focus_strong:"),
        ):
            if st.button(label, icon=icon, key=f"try on {page}"):
                network_choice.put(names[0])
                st.switch_page(shell.page_path(page))
