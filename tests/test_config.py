"""Flags: from the environment, by `update`, for devices and platforms."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import fx
import fx.numpy as np
from fx import array
from lowering.errors import DeviceError

ROOT = Path(__file__).resolve().parent.parent


def said(code: str, **variables: str) -> str:
    """What a fresh process with these environment variables prints, or its last line of error."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "FX_DEVICE"))}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", f"import fx, fx.numpy as np\n{code}"],
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    return (done.stdout or done.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize("text", ["1", "True", "yes", "ON"])
def test_the_environment_turns_x64_on(text):
    assert said("print(np.ones(3).dtype, fx.config.jax_enable_x64)", JAX_ENABLE_X64=text) == (
        "float64 True"
    )


def test_the_environment_turns_x64_off():
    assert said("print(np.ones(3).dtype)", JAX_ENABLE_X64="false") == "float32"


def test_listeners_hear_of_the_environment():
    code = """
try: np.log(np.array(-1.0))
except FloatingPointError as e: print('nan', end=' ')
try: np.ones((2, 3)) + np.ones(3)
except Exception as e: print('rank', end=' ')
print(fx.config.jax_disable_jit)
"""
    flags = {"JAX_DEBUG_NANS": "1", "JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_DISABLE_JIT": "1"}
    assert said(code, **flags) == "nan rank True"


def test_an_unknown_truth_value_is_an_error():
    assert said("", JAX_DEBUG_NANS="maybe") == (
        "ValueError: invalid truth value 'maybe' for environment 'JAX_DEBUG_NANS'"
    )


def test_the_environment_chooses_the_platform():
    assert said("print(fx.default_backend())", JAX_PLATFORMS="interpreter") == "interpreter"
    assert said("print(fx.default_backend())", JAX_PLATFORMS="tpu,interpreter") == "interpreter"
    assert said("print(fx.default_backend())", JAX_PLATFORM_NAME="interpreter") == "interpreter"
    chosen = said("print(fx.default_backend())", JAX_PLATFORMS="tpu", FX_DEVICE="interpreter")
    assert chosen == "interpreter"


@pytest.fixture
def kept_flags(monkeypatch):
    monkeypatch.setattr("fx.array._default", None)  # and what it was afterwards
    monkeypatch.delenv("FX_DEVICE", raising=False)
    values = {name: getattr(fx.config, name) for name in ("platforms", "default_device")}
    yield
    for name, value in values.items():
        fx.config.update(name, value)


def test_a_platform_that_is_not_there_is_an_error(kept_flags):
    fx.config.update("jax_platforms", "tpu")
    with pytest.raises(DeviceError, match="'tpu'"):
        fx.jit(lambda x: x + 1)(np.ones(3))
    fx.config.update("jax_platforms", "tpu,interpreter")
    assert fx.default_backend() == "interpreter"
    assert fx.jit(lambda x: x + 1)(np.ones(3)).sum() == 6


def test_the_default_device_is_a_flag(kept_flags):
    f, before = fx.jit(lambda x: x * 2), fx.default_backend()
    f(np.ones(3))
    fx.config.update("jax_default_device", "interpreter")
    assert fx.default_backend() == "interpreter"
    assert f(np.ones(3)).device.interpreter
    fx.config.update("jax_default_device", None)
    assert fx.default_backend() == before


def test_flags_of_a_block_are_this_threads():
    seen = []
    with fx.enable_x64():
        worker = threading.Thread(target=lambda: seen.append(np.ones(1).dtype.name))
        worker.start()
        worker.join()
        seen.append(np.ones(1).dtype.name)
    assert seen == ["float32", "float64"]


def test_no_tracing_forbids_new_signatures_only():
    f = fx.jit(lambda x: x + 1)
    f(1.0)
    with fx.no_tracing():
        assert f(2.0) == 3.0
        with pytest.raises(RuntimeError, match="re-tracing function <lambda> for `jit`"):
            f(np.ones(3))
    assert f(np.ones(3)).shape == (3,)


def test_flags_that_change_no_trace_keep_the_compiled():
    traced = []

    def f(x):
        traced.append(1)
        return x + 1

    g = fx.jit(f)
    g(1.0)
    with fx.log_compiles(), fx.explain_cache_misses():
        g(1.0)
    assert len(traced) == 1
    with fx.enable_x64():
        g(1.0)
    assert len(traced) == 2


def test_typed_keys_may_be_the_default():
    with fx.config.override("enable_custom_prng", True):
        assert fx.dtypes.issubdtype(fx.random.PRNGKey(0).dtype, fx.dtypes.prng_key)
    assert fx.random.PRNGKey(0).dtype == "uint32"


@pytest.mark.parametrize(
    ("flag", "value"), [("jax_default_prng_impl", "rbg"), ("jax_debug_key_reuse", True)]
)
def test_what_a_flag_does_not_do_is_said(flag, value):
    before = getattr(fx.config, flag)
    with pytest.warns(UserWarning, match=flag):
        fx.config.update(flag, value)
    fx.config.update(flag, before)
    manager = getattr(fx, flag.removeprefix("jax_"))
    with pytest.warns(UserWarning, match=flag) as said, manager(value):
        pass
    assert said[0].filename == __file__


def test_the_device_of_a_block_is_this_threads():
    here, inside = array.default_device(), threading.Event()
    done, seen = threading.Event(), []

    def other():
        with fx.default_device("interpreter"):
            seen.append(array.default_device().interpreter)
            inside.set()
            done.wait(10)
            seen.append(fx.jit(lambda x: x + 1)(fx.numpy.ones(3)).device.interpreter)
        seen.append(array.default_device() is here)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    try:
        assert array.default_device() is here
    finally:
        done.set()
        thread.join()
    assert seen == [True, True, True]


def test_blocks_of_devices_nest(kept_flags):
    f = fx.jit(lambda x: x * 2)
    fx.config.update("jax_default_device", "interpreter")
    with fx.default_device(None):
        assert not array.default_device().interpreter
        assert not f(1.0).device.interpreter
        with fx.default_device("interpreter"):
            assert f(1.0).device.interpreter
    assert array.default_device().interpreter
    fx.config.update("jax_default_device", None)


def test_devices_of_one_name_have_settings_of_their_own():
    """Two cards of one model print alike, and a function compiled for one is not the other's."""
    alike = [type("Card", (), {"__repr__": lambda self: "Device(id=0)"})() for _ in range(2)]
    tokens = []
    for card in (*alike, alike[0]):
        with fx.config.override("default_device", card):
            tokens.append(fx.config.token())
    assert tokens[0] is tokens[2] is not tokens[1]
