"""Later: a store is known at once, on disk soon, and before Python ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from lowering import ending
from lowering.runtime import cache, devices, later, memory
from lowering.runtime.counters import counts

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache that has one entry, and a thread that does nothing before it is let."""
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    cache.clear()
    cache.store("plan", cache.key_of("first"), b"first")
    later._working.acquire()
    yield tmp_path
    if later._working.locked():
        later._working.release()
    cache.clear()


def entries(folder: Path) -> int:
    return sum(p.is_file() for p in folder.rglob("*"))


def test_the_first_entry_is_written_at_once_others_when_nobody_waits(folder):
    assert entries(folder) == 1
    key = cache.key_of("second")
    cache.store("plan", key, b"second")
    assert entries(folder) == 1
    assert cache.has("plan", key) and cache.load("plan", key) == b"second"
    later._working.release()
    later.settle()
    assert entries(folder) == 2 and not cache._waiting
    assert cache.load("plan", key) == b"second"


def test_things_are_done_in_order_by_one_thread(folder):
    done: list[tuple[int, bool]] = []
    here = threading.current_thread()
    for k in range(50):
        later.do(lambda k: done.append((k, threading.current_thread() is here)), k)
    assert not done
    later._working.release()
    later.settle()
    assert [k for k, _ in done] == list(range(50))
    assert sum(t.name == "fx-later" for t in threading.enumerate()) == 1


def test_at_the_end_of_python_all_is_done_at_once(folder, monkeypatch):
    monkeypatch.setattr(ending, "over", True)
    later._working.release()
    cache.store("plan", cache.key_of("late"), b"late")
    assert entries(folder) == 2


LAST = """
from lowering.runtime import cache
cache.store("plan", cache.key_of("first"), b"first")
cache.store("plan", cache.key_of("last"), b"last")
"""


def test_python_does_what_is_left_before_it_ends(tmp_path):
    env = dict(os.environ, PYTHONPATH=str(ROOT), FX_CACHE_DIR=str(tmp_path))
    subprocess.run([sys.executable, "-c", LAST], env=env, check=True)
    assert entries(tmp_path) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_forked_child_leaves_all_to_its_parent(folder):
    cache.store("plan", cache.key_of("second"), b"second")
    child = os.fork()
    if not child:
        later.settle()
        cache.store("plan", cache.key_of("of the child"), b"third")
        later.settle()
        os._exit(0 if entries(folder) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    later._working.release()
    later.settle()
    assert entries(folder) == 3


@pytest.mark.driver
def test_large_blocks_are_there_for_a_program_that_is_built_meanwhile(monkeypatch):
    device = next((d for d in devices.devices() if getattr(d, "shared", False)), None)
    if device is None:
        pytest.skip("needs a device that shares the host's memory")
    monkeypatch.setattr(device, "pool", memory.Pool(device))
    pool, least = device.pool, memory.AHEAD[0]
    large, small = pool.home(least), pool.home(64)
    takes = [(large, least), (small, 64), (large, least)]
    with pool.ahead(takes):
        later.settle()
        assert [len(large), len(small)] == [2, 0]
    with pool.ahead(takes):
        later.settle()
    assert len(large) == 2  # they are there already
    large.clear()
    with pool.ahead(takes):
        pass
    later.settle()
    assert not large  # built at once, called by now
    with pool.ahead([(large, memory.AHEAD[1] + 1)]):
        later.settle()
    assert not large


@pytest.mark.driver
@pytest.mark.parametrize("able", [True, False])
def test_a_call_has_a_block_whose_pages_are_still_given(monkeypatch, able):
    """A second block would take as long again."""
    device = next((d for d in devices.devices() if getattr(d, "shared", False)), None)
    if device is None:
        pytest.skip("needs a device that shares the host's memory")
    pool, nbytes = memory.Pool(device), 3 * memory.STEP
    monkeypatch.setattr(device, "pool", pool)
    home, free = pool.home(nbytes), []

    def given(host):
        for step in range(3 * able):
            free.append((step, len(home)))
            yield memory.STEP

    monkeypatch.setattr(memory, "pages", given)
    with pool.ahead([(home, nbytes)]):
        later.settle()
    assert free == [(0, 0), (1, 1), (2, 1)][: 3 * able]
    made = counts.alloc_count
    assert len(home) == 1 and pool.take(nbytes).block.nbytes >= nbytes
    assert counts.alloc_count == made


@pytest.mark.skipif(sys.platform != "linux", reason="another system's memory")
def test_given_pages_keep_what_is_written():
    host = np.arange(3 * memory.STEP // 8 + 5)[2:]
    want = host.copy()
    given = list(memory.pages(host))
    np.testing.assert_array_equal(host, want)
    assert not given or len(given) == 3  # Linux before 5.14 gives none
