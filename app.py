"""The application of the web server, and the script that it runs for every session.

Start it with ``python -m cnnviz.ui``.
"""

import streamlit as st

from cnnviz.ui.web import start

# Streamlit's server imports this file and looks for this name and call.
app = st.App(__file__, middleware=start.middleware(), lifespan=start.lifespan)

if __name__ == "__main__":
    # Only here: the server answers without it.
    from cnnviz.ui import shell

    shell.run(shell.configure())
