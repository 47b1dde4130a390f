"""fx.profiler: launches with labels and device times, spans, the file, and nothing left behind."""

from __future__ import annotations

import gzip
import json

import pytest

import fx
import fx.numpy as fnp
from fx import array, lax, profiler

on_driver = pytest.mark.skipif(
    array.default_device().interpreter, reason="the interpreter has no launches"
)


def loss(w, x):
    with fx.named_scope("layer"):
        h = fnp.tanh(x @ w)
    return (h * h).sum()


@fx.jit
def step(w, x):
    return w - 0.1 * fx.grad(loss)(w, x)


@fx.jit
def turns(x):
    return lax.scan(lambda c, _: (fnp.sin(c @ c) / 9, None), x, None, length=5)[0]


@on_driver
def test_launches_have_labels_and_times(tmp_path):
    w, x = fnp.ones((300, 300)) / 9, fnp.ones((200, 300))
    step(w, x), turns(w)
    before = fx.debug.counters().launches
    with profiler.trace(tmp_path) as profile:
        with profiler.TraceAnnotation("epoch", number=1):
            for _ in range(2):
                w = step(w, x)
        turns(w)
    launched = fx.debug.counters().launches - before
    on_device = [launch for launch in profile.launches if launch.place != "host"]
    assert len(on_device) >= launched > 0
    assert {launch.function for launch in on_device} == {"step", "turns"}
    assert any("layer" in launch.label for launch in on_device)
    assert all(0 <= launch.seconds < 60 for launch in on_device)
    starts = [launch.start for launch in profile.launches]
    assert starts == sorted(starts)
    table = profile.table().splitlines()
    assert "test_profiler.py:" in table[2] and "/" not in table[2].split("|")[2]
    with gzip.open(profile.path) as f:
        events = json.load(f)["traceEvents"]
    (span,) = [e for e in events if e["name"] == "epoch"]
    inside = [e for e in events if e.get("args", {}).get("function") == "step"]
    assert inside and all(e["ts"] > span["ts"] - 1000 for e in inside)


@on_driver
def test_small_plans_and_host_steps_are_there():
    small = fx.jit(lambda x: fnp.sort(x * 2) + 1)
    x = fnp.arange(8.0)
    expected = small(x).tolist()
    with profiler.trace() as profile:
        assert small(x).tolist() == expected
    assert small(x).tolist() == expected
    assert {launch.function for launch in profile.launches} == {"<lambda>"}


def test_the_same_results_with_and_without():
    w, x = fnp.ones((300, 300)) / 9, fnp.ones((200, 300))
    tiny = fx.jit(lambda t: {k: v * 2 for k, v in t.items()})
    tree = {"b": fnp.ones(3), "a": fnp.zeros(2)}
    expected = step(w, x), tiny(tree)
    with profiler.trace():
        recorded = step(w, x), tiny(tree)
    after = step(w, x), tiny(tree)
    for a, b, c in zip(*map(fx.tree.leaves, (expected, recorded, after)), strict=True):
        assert a.tolist() == b.tolist() == c.tolist()


def test_one_trace_at_a_time():
    with pytest.raises(RuntimeError, match="No profile started"):
        profiler.stop_trace()
    profiler.start_trace()
    with pytest.raises(RuntimeError, match="already been started"):
        profiler.start_trace()
    assert profiler.stop_trace().launches == []


def test_memory_profile(tmp_path):
    x = fnp.ones((7, 11))
    profiler.save_device_memory_profile(tmp_path / "memory.json")
    assert json.loads((tmp_path / "memory.json").read_text())[f"float32[{x.shape[0]}, 11]"]
