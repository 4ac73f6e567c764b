"""The memory of a process that has loaded every shipped model and explained a photo with each.

    python -m benchmarks.worker_memory

It prints the resident memory in megabytes, and whether TensorFlow has been imported. No gradient
is computed: a network whose every map needs gradients predicts only.
"""

from __future__ import annotations

import json
import sys

import psutil

import cnnviz
from cnnviz.attribution.methods import METHODS
from cnnviz.settings import PACKAGE, ROOT


def main() -> None:
    photo = cnnviz.open_photo(PACKAGE / "samples" / "chelsea.png")
    networks = [cnnviz.load_model(path) for path in sorted((ROOT / "models").glob("*.keras"))]
    for network in networks:
        fitting = cnnviz.methods(network)
        forward = [method for method in fitting if METHODS[method].passes == "forward"]
        if forward:
            cnnviz.explain(network, photo, method=forward[0])
        else:
            cnnviz.predict(network, photo)
    answer = {
        "models": len(networks),
        "megabytes": psutil.Process().memory_info().rss / 1e6,
        "tensorflow": "tensorflow" in sys.modules,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
