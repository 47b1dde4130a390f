"""docs/tiny.py does what it says, in the lines it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

TINY = Path(__file__).resolve().parent.parent / "docs" / "tiny.py"


@pytest.fixture(scope="module")
def tiny():
    """The file as a module."""
    spec = importlib.util.spec_from_file_location("tiny", TINY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_300_lines():
    assert sum(bool(line.strip()) for line in TINY.read_text("utf-8").splitlines()) <= 300


def test_gradient_and_its_batch(tiny):
    x = np.array([0.5, 1.0, 2.0], np.float32)
    f = lambda v: tiny.sum_to(tiny.sin(v) * v, shape=())
    expected = np.cos(x) * x + np.sin(x)
    np.testing.assert_allclose(tiny.grad(f)(x), expected, rtol=1e-5)
    np.testing.assert_allclose(tiny.vmap(tiny.grad(f))(np.stack([x, x]))[1], expected, rtol=1e-5)


def test_hessian_is_forward_over_reverse(tiny):
    x = np.array([0.5, 1.0, 2.0], np.float32)
    f = lambda v: tiny.sum_to(tiny.exp(v * v) + v, shape=())
    row = lambda v: tiny.jvp(tiny.grad(f), (x,), (v,))[1]
    expected = np.diag((2 + 4 * x * x) * np.exp(x * x))
    np.testing.assert_allclose(tiny.vmap(row)(np.eye(3, dtype=np.float32)), expected, rtol=1e-5)


def test_perturbations_are_not_confused(tiny):
    assert tiny.grad(lambda x: x * tiny.grad(lambda y: x + y)(1.0))(1.0) == 1.0


def test_broadcast_operands_get_summed_cotangents(tiny):
    x = np.array([1.0, 2.0, 3.0], np.float32)
    assert tiny.grad(lambda w: tiny.sum_to(w * x, shape=()))(2.0) == 6.0
    assert tiny.grad(lambda w: tiny.sum_to(tiny.vmap(lambda a: w * a)(x), shape=()))(2.0) == 6.0


def test_a_value_that_outlives_its_trace_is_an_error(tiny):
    kept = []
    tiny.grad(lambda x: kept.append(x) or x * x)(1.0)
    with pytest.raises(RuntimeError, match="outlived"):
        tiny.sin(kept[0])


def test_gradient_of_a_vector_is_an_error(tiny):
    with pytest.raises(TypeError, match=r"\(3,\)"):
        tiny.grad(lambda x: x * 2.0)(np.ones(3))


@pytest.mark.driver
@pytest.mark.filterwarnings("ignore")
def test_the_kernel_computes_the_gradient(tiny):
    x = np.linspace(-2, 2, 33, dtype=np.float32)
    slope = tiny.vmap(tiny.grad(lambda v: tiny.sin(v) * tiny.exp(-(v * v))))
    np.testing.assert_allclose(tiny.jit(slope)(x), slope(x), rtol=1e-4, atol=1e-6)
    with pytest.raises(NotImplementedError, match="sum_to"):
        tiny.jit(lambda v: tiny.sum_to(v, shape=()))(x)
