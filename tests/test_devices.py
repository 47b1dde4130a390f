"""Finding and choosing devices, set-up before drivers load, and the disk cache's bad days."""

from __future__ import annotations

import pickle
import warnings

import pytest
from test_runtime import ADD, device_of, run_python

from lowering.errors import DeviceError
from lowering.runtime import cache, devices, drivers

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


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    cache.clear()
    yield tmp_path
    cache.clear()


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


def test_unwritable_cache(cache_folder, monkeypatch):
    (cache_folder / "file").write_text("")
    monkeypatch.setenv("FX_CACHE_DIR", str(cache_folder / "file"))
    with pytest.warns(cache.CacheWarning):
        cache.store("plan", "k", b"")
    monkeypatch.setenv("FX_CACHE_DIR", "off")
    cache.store("plan", "k", b"")
    assert cache.load("plan", "k") is None
