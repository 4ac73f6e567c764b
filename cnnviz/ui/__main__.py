"""Starts the app: ``python -m cnnviz.ui [options of "streamlit run"]``.

The worker processes start first, so that TensorFlow loads while the server comes up. What the
pages draw with is imported before the server answers, so that no visitor waits for it.
"""

import importlib
import sys

from cnnviz import workers
from cnnviz.settings import ROOT, read_settings
from cnnviz.ui import library


def main() -> None:
    """Starts the workers, then Streamlit's own server on ``app.py``."""
    workers.start(library.models())
    importlib.import_module("pandas")
    importlib.import_module("cnnviz.figures")
    from streamlit.web import cli

    settings = read_settings()
    # The one limit for photos is in the configuration file; a model may be larger.
    larger = (
        [] if settings.uploads is False else ["--server.maxUploadSize", str(settings.upload_mb)]
    )
    sys.argv = ["streamlit", "run", str(ROOT / "app.py"), *larger, *sys.argv[1:]]
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
