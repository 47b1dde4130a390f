"""What every test gets: a device, a fresh cache folder, fixed seeds, counters.

`--fx-device` sets FX_DEVICE for the run; tests marked `lowering` run a second time with the GPU
schedule forced when `--gpu-schedule` is given (FX_SCHEDULE=gpu for the whole run).
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

FOLDER = "FX_TEST_FOLDER"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the whole run; xdist hands them to its workers."""
    group = parser.getgroup("fx")
    group.addoption("--fx-device", help="sets FX_DEVICE: pocl, intel, interpreter, ...")
    group.addoption(
        "--gpu-schedule", action="store_true",
        help="forces the GPU schedule and runs only the tests marked `lowering`",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Sets the environment before the library is imported; workers inherit the folder."""
    if config.getoption("--fx-device"):
        os.environ["FX_DEVICE"] = config.getoption("--fx-device")
    if config.getoption("--gpu-schedule"):
        os.environ["FX_SCHEDULE"] = "gpu"
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="fx-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True))
    os.environ["FX_CACHE_DIR"] = os.path.join(os.environ[FOLDER], "cache")
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["FX_STOCK"] = "0"  # what is on disk is what a test has built (test_stock asks)
    # threads of BLAS spin for each other while other workers have the cores: SciPy's factors that
    # test_lapack compares with took 56 s of two cores' time, and take 3
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under --gpu-schedule keeps the tests marked `lowering`; skips `driver` tests without one."""
    if config.getoption("--gpu-schedule"):
        kept = [item for item in items if item.get_closest_marker("lowering")]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
    if os.environ.get("FX_DEVICE") == "interpreter":
        skip = pytest.mark.skip(reason="needs an OpenCL driver")
        for item in items:
            if item.get_closest_marker("driver"):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """The same random numbers in every run."""
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def no_ref_outlives_its_test() -> Any:
    """Where a Ref lives, functions run once more on types alone: tests count runs."""
    from fx.refs import live

    yield
    if live:
        gc.collect()


@pytest.fixture(autouse=True)
def nothing_grows_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager code is NumPy for as long as a test runs: threads that build would be counted."""
    if request.module.__name__ != "test_large":
        from fx.numpy import large

        monkeypatch.setattr(large, "WORTH", float("inf"))


@pytest.fixture(autouse=True)
def eager_builds_nothing(request: pytest.FixtureRequest) -> Any:
    """A test marked `eager` fails if it builds a kernel: eager code is NumPy on host memory."""
    import fx

    before = fx.debug.counters()
    yield
    if request.node.get_closest_marker("eager"):
        used = fx.debug.counters() - before
        assert (used.compiles, used.launches) == (0, 0), f"eager code built or ran kernels: {used}"


@pytest.fixture(autouse=True)
def every_program_is_linked(request: pytest.FixtureRequest) -> Any:
    """A test fails if `ld` was asked for a program: it costs a first call tens of milliseconds."""
    from lowering.pocl.builders import unlinked

    unlinked.clear()
    yield
    if request.module.__name__ != "test_linking":
        assert not unlinked


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of NumPy's with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def counted() -> Callable[[], Any]:
    """Calling it gives how much each of `fx.debug.counters()` grew since the test began.

    def test_one_launch(counted):
        jitted(x)
        assert counted().launches == 1
    """
    import fx

    before = fx.debug.counters()
    return lambda: fx.debug.counters() - before
