"""The entry: page config and navigation. Start it with ``python -m cnnviz.ui``."""

import streamlit as st

from cnnviz.ui import shell

st.set_page_config(page_icon=shell.ICON, layout="wide")
page = st.navigation(shell.pages())
shell.run(page)
