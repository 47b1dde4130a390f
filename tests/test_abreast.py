"""Rows abreast: eight rows of a matrix that fold with one vector at once."""

from __future__ import annotations

import numpy as np
import plans
import pyopencl as cl
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from lowering import compile as compiler
from lowering import graph as g
from lowering import mathlib, scalar_text
from lowering.profile import AVX2, AVX512
from lowering.runtime import devices

FUNCTIONS = {
    "product": lambda A, x, b: A @ x,
    "layer": lambda A, x, b: jnp.tanh(A @ x + b),
    "distance": lambda A, x, b: jnp.sqrt(((A - x) ** 2).sum(1)) + b,
    "greatest": lambda A, x, b: (A + x).max(1) - b,
    "least": lambda A, x, b: (A + x).min(1) * b,
    "both": lambda A, x, b: (A @ x, (A * x).max(1) + b),
    "in place": lambda A, x, b: b - A @ x,
}
SHAPES = [(8, 16), (9, 17), (15, 31), (16, 64), (23, 33), (64, 70), (129, 1000), (1000, 65)]


def operands(n: int, m: int, dtype: str = "float32") -> list[np.ndarray]:
    rng = np.random.default_rng(n * m)
    return [rng.standard_normal(s).astype(dtype) for s in ((n, m), (m,), (n,))]


def near(got, want, rtol=2e-5):
    for a, b in zip(fx.tree.leaves(got), fx.tree.leaves(want), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.lowering
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_shape(name):
    f = fx.jit(FUNCTIONS[name])
    for n, m in SHAPES:
        near(f(*operands(n, m)), FUNCTIONS[name](*operands(n, m)))


@pytest.mark.lowering
@pytest.mark.parametrize("name", FUNCTIONS)
def test_double_precision(name):
    with fx.enable_x64(True):
        args = operands(27, 43, "float64")
        near(fx.jit(FUNCTIONS[name])(*args), FUNCTIONS[name](*args), 1e-13)


@pytest.mark.lowering
def test_batches():
    A, x, b = (np.stack(v) for v in zip(*(operands(19, 34) for _ in range(7))))
    f = lambda A, x, b: jnp.tanh(jnp.einsum("gij,gj->gi", A, x)) + b
    near(fx.jit(f)(A, x, b), f(A, x, b))
    near(fx.jit(f)(A[:2], x[:2], b[:2]), f(A[:2], x[:2], b[:2]))


@pytest.mark.driver
@pytest.mark.parametrize("op", ["add", "max", "min"])
def test_a_row_has_its_bits_wherever_it_stands(op):
    fold = {
        "add": lambda A, x: A @ x,
        "max": lambda A, x: (A + x).max(1),
        "min": lambda A, x: (A + x).min(1),
    }[op]
    A, x, _ = operands(77, 75)
    A[:] = A[5]
    for count in (8, 9, 14, 77):
        found = np.asarray(fx.jit(fold)(A[:count], x))
        assert (found == found[0]).all()
        assert found[0] == np.asarray(fx.jit(fold)(A, x))[0]


@pytest.mark.lowering
def test_nan_and_infinity():
    A, x, b = operands(24, 37)
    A[3, 36], A[9, 0], A[10, 5], A[17, 20], x[5] = np.nan, np.inf, -np.inf, np.inf, -np.inf
    for name in ("greatest", "least"):
        with np.errstate(invalid="ignore"):
            want = FUNCTIONS[name](A, x, b)
        np.testing.assert_array_equal(fx.jit(FUNCTIONS[name])(A, x, b), want)


@pytest.mark.lowering
def test_states_of_a_loop():
    A, x, b = operands(100, 100)
    A /= 10
    want = x
    for _ in range(30):
        want = np.tanh(A @ want + b)
    step = lambda h, _: (jnp.tanh(A @ h + b), None)
    near(fx.jit(lambda x: lax.scan(step, x, None, 30)[0])(x), want, 1e-4)


@pytest.mark.driver
@pytest.mark.filterwarnings("ignore::pyopencl.CompilerWarning")  # Intel talks
@pytest.mark.parametrize("op", ["add", "max", "min"])
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_registers_fold_as_each_by_itself(kind, op):
    """To the bit, for all widths and numbers of registers."""
    dtype = np.dtype({"f32": np.float32, "f64": np.float64}[kind])
    element = scalar_text.memory_type(dtype)
    sizes = [(r, w) for r in (2, 4, 8) for w in (4, 8, 16) if w >= r]
    lines = [f"__kernel void run(__global const {element} *x, __global {element} *out) {{"]
    for r, w in sizes:
        for k in range(r):
            at = f"(__global const {element}{w}_u *)(x + {w * k})"
            lines.append(f"  const {element}{w} r{r}x{w}_{k} = *{at};")
        names = [f"r{r}x{w}_{k}" for k in range(r)]
        folded = f"folds{r}_{op}_{kind}x{w}({', '.join(names)})"
        lines.append(f"  *(__global {element}{r}_u *)out = {folded};")
        lines += [f"  out[{r + k}] = fold_{op}_{kind}x{w}({n});" for k, n in enumerate(names)]
        lines.append(f"  out += {2 * r};")
    text = "\n".join([*lines, "}"])
    device = devices.default_device()
    queue = cl.CommandQueue(device.context)
    prelude = scalar_text.prelude((2, 4, 8, 16), [dtype, np.dtype(np.float64)])
    kernel = plans.kernel(queue, prelude + mathlib.source(mathlib.needed(text)) + text)
    x = np.random.default_rng(1).standard_normal(128).astype(dtype)
    found = np.zeros(sum(2 * r for r, _ in sizes), dtype)
    flags = cl.mem_flags.COPY_HOST_PTR
    bx, out = (cl.Buffer(device.context, flags, hostbuf=v) for v in (x, found))
    kernel(queue, (1,), None, bx, out)
    cl.enqueue_copy(queue, found, out)
    for r, w in sizes:
        np.testing.assert_array_equal(found[:r], found[r : 2 * r])
        fold = {"add": np.sum, "max": np.max, "min": np.min}[op]
        np.testing.assert_allclose(found[:r], fold(x[: r * w].reshape(r, w), 1), rtol=1e-4)
        found = found[2 * r :]


@pytest.mark.lowering
def test_short_sums_beside_long_ones():
    """What a row folds along few elements, its lane folds."""
    A, x, _ = operands(45, 60)
    B, y = A[:, :5].copy(), x[:5].copy()
    f = lambda A, x, B, y: jnp.tanh(A @ x + B @ y)
    near(fx.jit(f)(A, x, B, y), f(A, x, B, y))


@pytest.mark.parametrize("profile", [AVX2, AVX512])
def test_the_text(profile):
    """Eight sums of a register each, and what follows in one register; the vector is read once."""

    def text(n: int, m: int, op: str, dtype: type = np.float32) -> str:
        b = g.Builder()
        A, x, y = (b.input(s, np.dtype(dtype)) for s in ((n, m), (m,), (n,)))
        if op == "dot":
            sums = b.contract(A, x, ((1,), (0,)))
        else:
            wide = b.map("mul", A, b.broadcast(x, (n, m), (1,)))
            sums = b.reduce("add", b.map("sub", wide, b.broadcast(y, (n, m), (0,))), (1,))
        z = b.map("exp", b.map("add", sums, y))
        (program,) = compiler.make_plan(b.graph([z]), profile).programs
        return program.source

    lanes = profile.vector_bytes // 4
    found = text(200, 200, "dot")
    assert found.count(f"= mad_f32x{lanes}(") >= 8
    assert f"folds8_add_f32x{lanes}(" in found and "exp_f32x8(" in found
    for n, m in ((7, 200), (200, 5), (64, 20000), (5000, 1000)):  # few rows, short, long, large
        assert "folds8" not in text(n, m, "dot")
    wide = text(200, 200, "dot", np.float64)
    assert f"folds{min(8, lanes // 2)}_add_f64x{lanes // 2}(" in wide
    assert "folds8" not in text(200, 200, "centred")  # what a row has alone is not for registers
