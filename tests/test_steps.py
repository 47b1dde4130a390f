"""Steps of chains: compiled as outside jit, and each name is one program."""

from __future__ import annotations

import numpy as np
import pytest

import fx
from benchmarks import chains, compositions, steps
from benchmarks.library import Library, open_library

NOTHING = Library("", "", None)
PLANES, VOLUMES = sorted(steps.planes(NOTHING)), sorted(steps.volumes(NOTHING))
TURNING = {"T", "reshape"}
ROUNDED = {"bfloat": 1e-2}  # a kernel rounds once, where the value is stored or converted


def groups(names):
    return [names[k : k + 12] for k in range(0, len(names), 12)]


CASES = [(group, (64, 96)) for group in groups(PLANES)]
CASES += [(group, shape) for group in groups(VOLUMES) for shape in ((4, 16, 24), (2, 6, 8, 16))]


@pytest.mark.parametrize(("names", "shape"), CASES, ids=lambda x: str(x)[:30])
def test_a_step_computes_compiled_what_it_computes_eagerly(names, shape):
    lib = open_library("fx")
    table = (steps.planes if len(shape) == 2 else steps.volumes)(lib)
    x = fx.device_put(np.random.default_rng(0).standard_normal(shape).astype(np.float32))

    def program(x):
        return {name: table[name](x) for name in names}

    with fx.disable_jit():
        expected = program(x)
    found = fx.jit(program)(x)
    for name in names:
        assert found[name].shape == (shape[::-1] if name in TURNING else shape), name
        assert found[name].dtype == np.float32, name
        close = ROUNDED.get(name, 1e-4)
        np.testing.assert_allclose(found[name], expected[name], close, close, err_msg=name)


def test_a_seed_is_one_program_and_its_name_says_which():
    names = chains.names(range(40), 3, False, ("bn",))
    assert names == chains.names(range(40), 3, False, ("bn",))
    assert len(set(names)) == 40
    for name in names:
        _, (*chosen, end), shape = chains.parse(name)
        assert "bn" in chosen and len(chosen) == 3
        assert end in chains.ENDS and shape in chains.PLANES


def test_a_named_program_runs_and_differentiates():
    lib = open_library("fx")
    value = chains.build(lib, "softmax>T>rows@64x96")
    x, t = value.args
    e = np.exp(x - x.max(1, keepdims=True))
    expected = ((e / e.sum(1, keepdims=True)).T * t.reshape(96, 64)).sum(-1)
    np.testing.assert_allclose(lib.jit(value.fn)(x, t), expected, 1e-4, 1e-5)
    slope = chains.build(lib, "grad:tanh>loss@64x96").fn(*map(lib.put, (x, t)))
    gap, size = np.tanh(x) - t, x.size
    expected = 2 * (gap**2).mean() * 2 * gap / size * (1 - np.tanh(x) ** 2)
    np.testing.assert_allclose(slope, expected, 1e-3, 1e-6)


def test_slow_and_differing_programs_are_reported():
    text = compositions.summary([(0.5, "a"), (2.0, "b")], ["b: **differs**"])
    assert text.splitlines() == [
        "## 2 programs",
        "geometric mean 1.00, worst 0.50, slower than JAX 1",
        "0.50 a",
        "## not as JAX",
        "b: **differs**",
    ]
