"""``python -m cnnviz``: see ``cnnviz.cli``."""

from cnnviz.cli import main

if __name__ == "__main__":
    main()
