"""The entry: the web server and its guards. Start it with ``python -m cnnviz.ui``."""

import streamlit as st

from cnnviz.ui.web import start

# Streamlit finds the application by its name and this call.
app = st.App("navigation.py", middleware=start.middleware(), lifespan=start.lifespan)
