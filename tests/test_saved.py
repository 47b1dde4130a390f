"""Plans on disk: another process lowers and builds nothing; what must differ has another key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from lowering import saved
from lowering.graph import Builder
from lowering.profile import AVX2, AVX512
from lowering.runtime import cache
from lowering.runtime.counters import counters

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of this test's own, nothing known in memory."""
    monkeypatch.setenv("FX_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("FX_DUMP", raising=False)
    cache.clear()
    forget()
    yield tmp_path
    cache.clear()


def forget() -> None:
    """As if the process were new: the device's programs are forgotten."""
    fx.clear_caches()
    for d in fx.devices():
        for known in (d, getattr(d, "direct", None)):
            if getattr(known, "programs", None):
                known.programs.clear()


def call(f, *args):
    """Results of a newly jitted function, and what the run-time counted."""
    before = counters()
    out = fx.block_until_ready(fx.jit(lambda *a: f(*a))(*args))
    return out, counters() - before


def bits(tree):
    return [np.asarray(x).tobytes() for x in fx.tree.leaves(tree)]


def loop(x):
    return lax.fori_loop(0, 5, lambda i, c: lax.cond(c.sum() > 0, fnp.sin, fnp.cos, c), x)


FUNCTIONS = {
    "chain": lambda x: fnp.exp(x) * 2 + 1,
    "softmax": lambda x: fx.nn.softmax(x),
    "product": lambda x: (x @ x.T).sum(0),
    "loop": loop,
    "scan": lambda x: lax.scan(lambda c, r: (c + r, c * r), x[0], x),
    "update": lambda x: x.at[1:].set(x[:-1]),
    "gradient": fx.grad(lambda x: (fnp.tanh(x) ** 2).sum()),
    "random": lambda x: x + fx.random.normal(fx.random.key(3), x.shape),
    "tree": lambda x: {"a": x, "b": [x + 1, x.astype("int32")]},
}


@pytest.mark.driver
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_plan_is_read_again(name):
    x = fx.device_put(np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32))
    first, made = call(FUNCTIONS[name], x)
    assert made.plans_loaded == 0
    forget()
    second, read = call(FUNCTIONS[name], x)
    assert (read.plans_loaded, read.compiles) == (1, 0)
    assert bits(first) == bits(second)


PROCESS = """
import sys, numpy as np, fx, fx.numpy as fnp
x = np.linspace(0, 1, 60, dtype=np.float32).reshape(6, 10)
f = fx.jit(fx.value_and_grad(lambda x: fx.nn.log_softmax(fnp.sin(x) @ x.T).sum()))
y = fx.block_until_ready(f(x))
c = fx.debug.counters()
stages = "planning.planner", "rewrite.canon", "emit.stage"
lowered = sum(f"lowering.{m}" in sys.modules for m in stages)
print(c.compiles + lowered, c.plans_loaded, [np.asarray(v).tobytes().hex() for v in y])
"""


@pytest.mark.driver
def test_a_second_process_lowers_and_builds_nothing(folder):
    def run():
        env = dict(os.environ, PYTHONPATH=str(ROOT), FX_CACHE_DIR=str(folder))
        done = subprocess.run(
            [sys.executable, "-c", PROCESS], env=env, capture_output=True, text=True, check=True
        )
        compiles, loaded, result = done.stdout.split(" ", 2)
        return int(compiles), int(loaded), result

    compiles, loaded, first = run()
    assert compiles > 0 and loaded == 0
    assert run() == (0, 1, first)


@pytest.mark.driver
def test_live_functions_are_not_kept(folder):
    shape = fx.ShapeDtypeStruct((3,), np.float32)
    f = lambda x: fx.pure_callback(lambda v: np.asarray(v) + 1, shape, x * 2)
    for _ in range(2):
        out, counted = call(f, np.ones(3, np.float32))
        np.testing.assert_array_equal(out, np.full(3, 3.0))
        assert counted.plans_loaded == 0
    assert not [p for p in folder.rglob("*") if p.is_file() and "plan" in p.parts]


@pytest.mark.driver
@pytest.mark.parametrize("damage", ["short", "foreign", "other object"])
def test_a_damaged_plan_is_a_miss(folder, damage):
    f, x = FUNCTIONS["chain"], np.ones(4, np.float32)
    first, _ = call(f, x)
    for entry in [p for p in folder.rglob("*") if p.is_file() and "plan" in p.parts]:
        if damage == "other object":
            cache.store_object("plan", entry.name, {"not": "a plan"})
        else:
            entry.write_bytes(entry.read_bytes()[:-3] if damage == "short" else b"who knows")
    if damage == "other object":
        second, counted = call(f, x)
    else:
        with pytest.warns(cache.CacheWarning) as caught:
            second, counted = call(f, x)
        assert len(caught) == 1
    assert counted.plans_loaded == 0
    assert bits(first) == bits(second)


@pytest.mark.driver
def test_a_cache_that_cannot_be_written_warns_once(folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("FX_CACHE_DIR", str(folder / "file"))
    with pytest.warns(cache.CacheWarning) as caught:
        for size in (3, 4):
            call(FUNCTIONS["chain"], np.ones(size, np.float32))
    assert len(caught) == 1
    monkeypatch.setenv("FX_CACHE_DIR", "off")
    call(FUNCTIONS["chain"], np.ones(5, np.float32))


@pytest.mark.driver
def test_another_batch_size_is_traced_and_not_built():
    f = lambda x: fx.nn.softmax(fnp.tanh(x) * 2)
    _, first = call(f, np.ones((64, 32), np.float32))
    _, second = call(f, np.ones((640, 32), np.float32))
    assert first.compiles == 1 and second.compiles == 0


# ---------------------------------------------------------------- keys


def key(op="sin", shape=(4,), dtype=np.float32, profile=AVX2, donated=(False,), name="f", tag=None):
    b = Builder()
    b.tag = tag
    x = b.input(shape, np.dtype(dtype))
    return saved.key_of(b.graph([b.map(op, x)]), profile, donated, name)


def test_equal_graphs_have_equal_keys():
    assert key() == key()


@pytest.mark.parametrize(
    "change",
    [
        {"op": "cos"},
        {"shape": (5,)},
        {"dtype": np.float64},
        {"profile": AVX512},
        {"profile": AVX2.with_(compute_units=7)},
        {"donated": (True,)},
        {"name": "g"},
        {"tag": "file.py:3"},
    ],
)
def test_what_a_plan_depends_on_is_in_its_key(change):
    assert key(**change) != key()


def test_constants_and_loops_are_in_the_key():
    def loop_key(value, length):
        b = Builder()
        inner = Builder()
        c = inner.input((), np.dtype(np.float32))
        body = inner.graph([inner.map("add", c, inner.const(value, np.float32))])
        x = b.input((), np.dtype(np.float32))
        (y,) = b.loop(body, [], [x], length=length)
        return saved.key_of(b.graph([y]), AVX2, (False,), "f")

    keys = {loop_key(v, n) for v in (1.0, 2.0, 0.0, -0.0) for n in (3, 4)}
    assert len(keys) == 8


def test_no_key_without_a_cache_or_while_stages_are_printed(monkeypatch):
    monkeypatch.setenv("FX_DUMP", "plan")
    assert key() is None
    monkeypatch.delenv("FX_DUMP")
    monkeypatch.setenv("FX_CACHE_DIR", "off")
    assert key() is None
