"""Finding and choosing devices, set-up before drivers load, and the disk cache's bad days."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from test_processes import run_python
from test_runtime import ADD, device_of

from lowering.errors import DeviceError
from lowering.runtime import cache, devices, drivers, later

pytestmark = pytest.mark.driver


@pytest.fixture
def shared():
    """The default device."""
    return device_of("shared")


# ---------------------------------------------------------------- devices


def test_choosing_a_device(shared):
    assert devices.device(shared.driver).driver == shared.driver
    assert devices.device(shared.place) is not None
    assert devices.device("interpreter").interpreter
    with pytest.raises(DeviceError, match="no device matches 'abacus'"):
        devices.device("abacus")
    assert pickle.loads(pickle.dumps(shared)).driver == shared.driver


def test_threads_cannot_change_once_drivers_are_loaded(shared):
    with pytest.raises(RuntimeError, match="before the first"):
        drivers.set_num_threads(1)


def test_no_driver_is_a_clear_error():
    """A loader that finds nothing: the message names the one command that mends it."""
    text = """
from lowering.runtime import devices, drivers
drivers.opencl_devices = lambda: []
try:
    devices.default_device()
except Exception as e:
    print(type(e).__name__, e)
print(devices.device("interpreter").name)
"""
    out = run_python(text)
    assert "DeviceError No OpenCL driver was found. Install the embedded one:  pip install" in out
    assert "NumPy interpreter" in out


def test_thread_count_is_set_before_the_drivers_load():
    text = """
from lowering.runtime import devices, drivers
drivers.set_num_threads(1)
print("units", devices.device("pocl").profile.compute_units)
"""
    if any(d.driver == "pocl" for d in devices.devices()):
        assert "units 1" in run_python(text)


# ---------------------------------------------------------------- the disk cache

NOWHERE = """
import warnings
import numpy as np
import fx
x = np.arange(5, dtype=np.float32)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(fx.jit(lambda x: x * 2)(x).tolist())
print(len([w for w in caught if "Cache" in w.category.__name__]))
"""


@pytest.mark.parametrize("which", ["FX_CACHE_DIR", "POCL_CACHE_DIR", "HOME"])
def test_places_that_cannot_be_written_cost_a_warning_and_nothing_else(tmp_path, which):
    file = tmp_path / "file"
    file.write_text("")
    env = dict(os.environ, PYTHONPATH=str(Path(__file__).parent.parent))
    env |= {"FX_CACHE_DIR": str(tmp_path / "fx"), "POCL_CACHE_DIR": str(tmp_path / "pocl")}
    if which == "HOME":
        for name in ("FX_CACHE_DIR", "POCL_CACHE_DIR", "XDG_CACHE_HOME"):
            env.pop(name, None)
    env[which] = str(file)
    done = subprocess.run(
        [sys.executable, "-c", NOWHERE], env=env, capture_output=True, text=True, check=True
    )
    result, warned = done.stdout.split("\n")[:2]
    assert result == "[0.0, 2.0, 4.0, 6.0, 8.0]"
    assert int(warned) == (2 if which == "HOME" else 1)


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    cache.clear()
    yield tmp_path
    cache.clear()


def test_a_core_has_a_share_of_the_last_cache():
    """A virtual machine of two cores reads that it has the 480 MB of all the processor's."""
    all_of_it = devices._caches(10**6)[2]
    assert devices._caches(1)[2] == min(all_of_it, devices.L3_SHARE)
    assert devices._caches(2)[2] == min(all_of_it, 2 * devices.L3_SHARE)


def test_cache_round_trip(cache_folder):
    key = cache.key_of("a", b"b", 3)
    assert cache.load("plan", key) is None
    cache.store_object("plan", key, ADD)
    assert cache.load_object("plan", key) == ADD
    assert cache.key_of("ab") != cache.key_of("a", "b")


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_damaged_cache_entries_are_misses_with_one_warning(cache_folder, damage):
    key = cache.key_of("x")
    cache.store("plan", key, b"payload")
    (entry,) = [p for p in cache_folder.rglob("*") if p.is_file()]
    entry.write_bytes(entry.read_bytes()[:-1] if damage is None else damage)
    with pytest.warns(cache.CacheWarning, match="FX_CACHE_DIR"):
        assert cache.load("plan", key) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.load("plan", key) is None


def test_the_cache_keeps_what_was_used_last(cache_folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 2500 * cache.FOLDERS)
    keys = ["aa" + cache.key_of(k) for k in range(4)]  # all in one folder
    for age, key in enumerate(keys):
        cache.store("plan", key, bytes(1000))
        later.settle()
        (entry,) = cache_folder.rglob(key)
        os.utime(entry, (1000.0 + age, 1000.0 + age))
    assert cache.load("plan", keys[0]) is not None  # used: the youngest now
    cache.prune(entry.parent)
    kept = [cache.load("plan", key) is not None for key in keys]
    assert kept == [True, False, False, True]


def test_the_cache_passes_over_what_another_process_takes_away(cache_folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 1500 * cache.FOLDERS)
    keys = ["aa" + cache.key_of(k) for k in range(3)]
    for age, key in enumerate(keys):
        cache.store("plan", key, bytes(1000))
        later.settle()
        (entry,) = cache_folder.rglob(key)
        os.utime(entry, (1000.0 + age, 1000.0 + age))
    (entry.parent / "gone").symlink_to(cache_folder / "nowhere")  # is listed, has no size
    cache.prune(entry.parent)
    gc.collect()  # an unclosed list of entries would warn
    assert [cache.has("plan", key) for key in keys] == [False, False, True]


def test_unwritable_cache(cache_folder, monkeypatch):
    (cache_folder / "file").write_text("")
    monkeypatch.setenv("FX_CACHE_DIR", str(cache_folder / "file"))
    with pytest.warns(cache.CacheWarning):
        cache.store("plan", "k", b"")
    monkeypatch.setenv("FX_CACHE_DIR", "off")
    cache.store("plan", "k", b"")
    assert cache.load("plan", "k") is None
