"""``python -m cnnviz``: see ``cnnviz.cli.main``."""

from cnnviz.cli.main import main

if __name__ == "__main__":
    main("python -m cnnviz")
