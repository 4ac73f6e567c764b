"""Fixtures for every test: small networks and a photo; no file is needed but the repository's."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus import builders, oracles, photos
from filelock import FileLock
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from cnnviz.settings import ROOT

# The same examples in every run, and no limit on how long one may take.
settings.register_profile("cnnviz", derandomize=True, deadline=None)
settings.load_profile("cnnviz")

TESTS = Path(__file__).resolve().parent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# What takes longest, in this order: with several processes, none is left alone with it at the end.
LONGEST = (
    "e2e",
    "training/test_loop.py",
    "networks/test_compatibility.py",
    "serving/test_workers.py",
    "batch/test_cluster.py",
    "serving",
    "training",
    "pages",
    "cli",
    "project",
    "test_every_network.py",
    "batch",
    "networks",
    "photos",
    "figures",
)


# Converts the shipped models into the folder of the variable CNNVIZ_CACHE.
CONVERT = """
from cnnviz.networks.engines.conversion import convert_file
from cnnviz.settings import ROOT

for path in sorted((ROOT / "models").glob("*.keras")):
    convert_file(path, trusted=True)
"""


def pytest_configure(config: pytest.Config) -> None:
    """No test, and no process that a test starts, uses the cache of the person who runs them."""
    # The processes of pytest-xdist have the environment of the one that starts them.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="cnnviz-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["CNNVIZ_CACHE"] = str(Path(folder.name) / "cache")


class OneProcessPerFile(LoadScopeScheduling):
    """One process runs all tests of a file, and one all browser tests.

    So that each fixture of a module, and the server of the browser tests, is made once. The marker
    ``xdist_group`` cannot say it: pytest 9.2 ignores how pytest-xdist 3.8 passes it on
    (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser tests" if file.startswith("tests/e2e/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessPerFile:
    """How several processes share the tests."""
    return OneProcessPerFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several processes, the tests that take longest come first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _rank(item.path))


def _rank(path: Path) -> int:
    """The index of a test's file in `LONGEST`; files that are not there are last."""
    relative = path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else ""
    ranks = (rank for rank, start in enumerate(LONGEST) if relative.startswith(start))
    return next(ranks, len(LONGEST))


@pytest.fixture(scope="session")
def converted_folder() -> Path:
    """A folder with the conversions of the shipped models, made once for all processes.

    It takes 25 seconds; without it each server that a test starts needs some more seconds.
    """
    folder = Path(os.environ["CNNVIZ_CACHE"]).with_name("converted")
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            # Renamed when it is complete: after a failure the next process tries again.
            part = folder.with_suffix(".part")
            environment = os.environ | {"CNNVIZ_CACHE": str(part)}
            subprocess.run([sys.executable, "-c", CONVERT], cwd=ROOT, env=environment, check=True)
            part.rename(folder)
    return folder


@pytest.fixture(scope="module")
def converted_models(converted_folder: Path) -> Iterator[Path]:
    """For the tests of a file, and the processes that they start: the shipped models converted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_CACHE", str(converted_folder))
        yield converted_folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that are marked with ``engines`` run once with each engine."""
    marked = metafunc.definition.get_closest_marker("engines")
    if marked and "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", ["tensorflow", "litert"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """What runs the networks of ``tiny``."""
    return getattr(request, "param", "tensorflow")


@pytest.fixture(scope="session")
def tiny(engine: str, lite: Callable[[str], Any]) -> Callable[[str], Any]:
    """The network of a builder by its name; built once in a session."""
    return builders.network if engine == "tensorflow" else lite


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The network of a builder by its name, as LiteRT runs it; converted once in a session."""

    @functools.cache
    def convert(name: str) -> Any:
        from cnnviz.networks.engines import conversion

        network = builders.network(name)
        with warnings.catch_warnings():
            # Keras saves with a call that NumPy 2 deprecates.
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            converted = conversion.convert(network, tmp_path_factory.mktemp(name))
        return dataclasses.replace(network, converted=converted)

    return convert


@pytest.fixture
def fresh() -> Callable[[str], Any]:
    """A network of one test alone, with nothing compiled yet."""
    return builders.fresh


@pytest.fixture(scope="session")
def snapshot() -> Callable[[Any], oracles.Snapshot]:
    """Copies a model's configuration, weights and graph nodes."""
    return oracles.Snapshot.of


@pytest.fixture(scope="session")
def eager_outputs() -> Callable[[Any, Any], tuple[Any, dict[Any, list[Any]]]]:
    """Runs a model plainly: its scores, and each operation's outputs by id."""
    return oracles.eager_outputs


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A photo (40, 60, 3) with some of every colour; read-only, as a decoded one is."""
    return photos.random_photo()


@pytest.fixture
def rewriting() -> Iterator[Callable[[], bool]]:
    """Whether TensorFlow's arithmetic rewriting is on, as it is at first and in the end."""
    import tensorflow as tf

    options = tf.config.optimizer
    options.set_experimental_options({"arithmetic_optimization": True})
    yield lambda: options.get_experimental_options()["arithmetic_optimization"]
    options.set_experimental_options({"arithmetic_optimization": True})
