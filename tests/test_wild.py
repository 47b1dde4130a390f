"""Wild programs: indices far outside, empty axes, odd memory, interrupted calls.

What comes out is NumPy's result or a clear error, and the library works afterwards.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import array, lax
from fx.config import enable_x64
from lowering.runtime.devices import CALLS_AHEAD

X = np.arange(10, 27, dtype=np.float32)
FAR = np.array([2**32 - 1, 2**31, 2**31 - 1, 17, 16, 0], np.uint32)


@pytest.mark.parametrize("jit", [False, True])
def test_unsigned_indices_beyond_the_largest_integer_are_beyond_the_end(jit):
    def f(x, k):
        taken = [jnp.take(x, k, mode=m) for m in ("clip", "fill", "wrap")]
        along = [jnp.take_along_axis(x, k, 0, mode=m) for m in ("clip", "fill")]
        return x[k], x.at[k].get(mode="fill"), taken, along, x.at[k].add(1.0)

    plain, filled, (clip, fill, wrap), along, added = (fx.jit(f) if jit else f)(
        jnp.asarray(X), jnp.asarray(FAR)
    )
    want = X[np.minimum(FAR, 16)]
    gaps = np.where(FAR > 16, np.nan, want)
    for got in (plain, clip, along[0]):
        np.testing.assert_array_equal(got, want)
    for got in (filled, fill, along[1]):
        np.testing.assert_array_equal(got, gaps)
    np.testing.assert_array_equal(wrap, X[FAR % 17])
    np.testing.assert_array_equal(added, X + np.isin(np.arange(17), [0, 16]))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("start", [2**64 - 1, 2**63, 2**63 - 1, -(2**63)])
def test_indices_of_64_bits_are_clamped_or_dropped(jit, start):
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))

    def f(x, k):
        window = lax.dynamic_slice(x, (k,), (2,))
        return window, lax.gather(x, k.reshape(1, 1), numbers, (1,), mode="clip"), x[k]

    with enable_x64(True):
        k = np.asarray(start, np.uint64 if start > 0 else np.int64)
        window, gathered, one = (fx.jit(f) if jit else f)(jnp.asarray(X), jnp.asarray(k))
        last = start > 0
        np.testing.assert_array_equal(window, X[-2:] if last else X[:2])
        np.testing.assert_array_equal(gathered, X[-1:] if last else X[:1])
        np.testing.assert_array_equal(one, X[-1] if last else X[0])
        assert np.isnan(jnp.asarray(X).at[start].get(mode="fill"))
        np.testing.assert_array_equal(jnp.asarray(X).at[start].add(1.0), X)


@pytest.mark.parametrize("jit", [False, True])
def test_convolutions_of_nothing(jit):
    def f(x, w):
        return lax.conv_general_dilated(x, w, (1,), [(1, 1)], batch_group_count=2)

    for n, space in ((0, 5), (2, 0), (0, 0)):
        out = (fx.jit(f) if jit else f)(jnp.ones((n, 3, space)), jnp.ones((4, 3, 2)))
        assert out.shape == (n // 2, 4, space + 1) and not np.asarray(out).any()


def test_arrays_of_the_other_byte_order_are_read_as_what_they_say():
    for kind in (">f4", ">i2", ">u4", "<f4"):
        for n in (6, 300_000):
            x = np.arange(n).astype(kind)
            for got in (fx.jit(lambda x: x + 1)(x), jnp.asarray(x) + 1, fx.device_put(x) + 1):
                assert got.dtype.isnative
                np.testing.assert_array_equal(got, x + 1)
    np.testing.assert_array_equal(fx.grad(lambda x: (x * x).sum())(np.ones(3, ">f4")), [2, 2, 2])


@pytest.mark.parametrize("n", [4, 100_000])
def test_results_that_are_inputs_literals_or_each_other_are_donated_alone(n):
    kept = jnp.arange(n) * 1.0
    again = fx.jit(lambda x: (x, x, x + 1, x + 1, kept, 3.0))
    bump = fx.jit(
        lambda x: x.at[()].add(1.0) if x.ndim == 0 else x.at[0].add(9.0), donate_argnums=0
    )
    for _ in range(3):
        x = jnp.arange(n) * 1.0
        outs = again(x)
        for k in (0, 2, 4, 5):
            bump(outs[k])
            assert outs[k].is_deleted()
        for same, want in ((outs[1], x), (outs[3], x + 1), (kept, np.arange(n)), (x, np.arange(n))):
            np.testing.assert_array_equal(same, want)


@pytest.mark.driver
def test_loops_and_branches_refuse_arrays_that_kernels_cannot_count():
    def branch(x):
        big = (3, 1 << 31)
        return lax.cond(x > 0, lambda: jnp.sort(jnp.zeros(big))[:, 0], lambda: jnp.ones(3))

    def loop(x):
        return lax.fori_loop(0, 3, lambda i, c: jnp.cumsum(jnp.broadcast_to(c, 1 << 32))[-1], x)

    for f, name in ((branch, "Sort"), (loop, "CumScan")):
        with pytest.raises(fx.errors.DeviceError, match=f"{name}.*count with 32 bits"):
            fx.jit(f)(1.0)


@pytest.mark.driver
def test_what_memory_has_no_room_for_is_not_counted_as_live():
    x = fx.device_put(jnp.ones(1024), array.default_device())
    before = array.counters().live_bytes
    with pytest.raises(fx.errors.OutOfDeviceMemory) as caught:
        fx.jit(lambda x: jnp.broadcast_to(x, (1 << 30, 1024)) * 2)(x)
    assert "4096.0 GiB were asked for" in str(caught.value)
    assert "4096.0 GiB are live" not in str(caught.value)
    assert array.counters().live_bytes == before


def test_arrays_that_are_no_numbers_are_refused_where_they_come_in():
    for x in (
        np.array(["a"]),
        np.array([object()]),
        np.array([1], "M8[s]"),
        np.zeros(2, [("a", "f4")]),
        np.zeros(2, np.longdouble),
    ):
        for f in (fx.jit(lambda x: x), jnp.asarray, fx.device_put, jnp.sin, fx.vmap(lambda x: x)):
            with pytest.raises(TypeError, match=r"dtype|number"):
                f(x)


@pytest.mark.driver
def test_calls_that_nobody_waits_for_do_not_pile_up():
    device = array.default_device()
    f = fx.jit(lambda w, b: jnp.tanh(w @ w) * 0.01 + b.sum())
    w, b = jnp.ones((200, 200)), np.ones(2000, np.float32)
    for _ in range(6 * CALLS_AHEAD):
        w = f(w, b)
        assert len(device.pending) <= 3 * CALLS_AHEAD and device.unseen <= CALLS_AHEAD
    assert np.isfinite(w).all()


@pytest.mark.driver
def test_a_first_call_while_python_ends():
    text = (
        "import atexit, fx, fx.numpy as jnp\n"
        "f = fx.jit(lambda x: jnp.sin(x).sum())\n"
        "atexit.register(lambda: print(float(f(jnp.zeros(5))) + 42))\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=600)
    assert (done.stdout, done.returncode) == ("42.0\n", 0), done.stderr


def test_gaps_of_pads_in_loops_over_rows_in_registers():
    def halves(x):
        return lax.associative_scan(lambda a, b: a * 0.5 + b, x) * 0.9

    def step(_, x):
        return fx.vjp(halves, x)[1](x)[0]

    x = np.random.default_rng(0).standard_normal((4, 33)).astype(np.float32)
    want = step(0, step(0, jnp.asarray(x)))
    got = fx.jit(lambda x: lax.fori_loop(0, 2, step, x))(x)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


BEYOND = [2**31 + 1, -(2**31) - 1, 2**32 + 1, 2**40]
REFUSED = {
    "take": lambda x, n: jnp.take(x, n),
    "take wrap": lambda x, n: jnp.take(x, n, mode="wrap"),
    "take clip": lambda x, n: jnp.take(x, n, mode="clip"),
    "where": lambda x, n: jnp.where(x > 2, n, 0),
    "insert": lambda x, n: jnp.insert(x, n, 1),
    "unravel_index": lambda x, n: jnp.unravel_index(n, (2, 3)),
    "left_shift": lambda x, n: jnp.left_shift(1, n),
    "add": lambda x, n: x + n,
}
CUT = {
    "roll": (lambda x, n: jnp.roll(x, n), lambda n: np.roll(np.arange(10.0), n % 10)),
    "eye": (lambda x, n: jnp.eye(3, k=n), lambda n: np.zeros((3, 3))),
    "diagonal": (lambda x, n: jnp.diagonal(x.reshape(2, 5), n), lambda n: np.zeros(0)),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("n", BEYOND)
@pytest.mark.parametrize("name", [*REFUSED, *CUT])
def test_integers_beyond_32_bits_never_wrap(name, n, jit):
    x = jnp.arange(10.0)
    if name in REFUSED:
        f = REFUSED[name]
        with pytest.raises(OverflowError):
            (fx.jit(f, static_argnums=1) if jit else f)(x, n)
        return
    found, expected = CUT[name]
    f = lambda x: found(x, n)
    np.testing.assert_array_equal((fx.jit(f) if jit else f)(x), expected(n))


@pytest.mark.parametrize("dtype", ["complex64", "float32", "int32", "bool"])
@pytest.mark.parametrize("name", ["all", "any", "sum", "prod"])
def test_folds_of_nothing_read_nothing(name, dtype):
    x = jnp.zeros((3, 0, 2), dtype)
    views = [lambda x: x, lambda x: x[..., :1].reshape(3, 0), lambda x: x.T]
    f = lambda x, view, axis: getattr(jnp, name)(view(x), axis=axis)
    for view in views:
        for axis in (None, 0, 1, -1):
            found = fx.jit(f, static_argnums=(1, 2))(x, view, axis)
            np.testing.assert_array_equal(found, f(x, view, axis))


def test_a_product_over_nothing_reads_nothing():
    x = jnp.zeros((3, 0, 2), jnp.complex64)
    f = lambda x: jnp.einsum("ijk,ijl->kl", x, x)
    np.testing.assert_array_equal(fx.jit(f)(x), np.zeros((2, 2)))


STACKED = {
    "sum": lambda c, x: (c + x.sum(), c),
    "next": lambda c, x: (c + x.sum(), c + x.sum()),
    "product": lambda c, x: (c + jnp.vdot(x, x), c * 2),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", STACKED)
def test_a_carry_that_only_adds_is_seen_by_what_is_stacked(name, reverse):
    x = jnp.arange(60.0).reshape(5, 3, 4) / 16
    f = lambda x: lax.scan(STACKED[name], 0.0, x, reverse=reverse)
    for found, expected in zip(fx.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    f = lambda x: lax.scan(STACKED[name], 0.0, x, reverse=reverse)[1].sum()
    np.testing.assert_allclose(fx.jit(fx.grad(f))(x), fx.grad(f)(x), rtol=1e-6)


def test_two_carries_that_change_places():
    def step(c, x):
        return (c[1] + x.sum(), c[0] + x.sum()), None

    x = jnp.arange(20.0).reshape(5, 4)
    f = lambda x: lax.scan(step, (0.0, 1.0), x)[0]
    np.testing.assert_allclose(fx.jit(f)(x), f(x), rtol=1e-6)
