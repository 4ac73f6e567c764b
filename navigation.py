"""The script of a session: page config and navigation. ``app.py`` serves it."""

import streamlit as st

from cnnviz.ui import shell

st.set_page_config(page_icon=shell.ICON, layout="wide")
page = st.navigation(shell.pages())
shell.run(page)
