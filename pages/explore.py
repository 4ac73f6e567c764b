"""Explore: a photo's way through a network, on one screen."""

import streamlit as st

from cnnviz.ui import parts, shell
from cnnviz.ui.components import live
from cnnviz.ui.page_parts.explore import page

scene = shell.enter("", "", runs_photo=True)
with st.container(key=None if live.is_on() else shell.PRESENTS_ITSELF):
    page.draw(scene)
parts.about(scene)
