"""Reductions, running folds, windows, sorting: zeros, ties, NaN, empty axes, any monoid."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy
from benchmarks.driverless import lower_function
from fx import lax
from fx.prims.window import window_params
from fx.prims.window_extrema import window_arg_p

F = np.float32
INF, NAN = np.inf, np.nan


def same(found, expected) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), 1e-6, 1e-7)


# ---------------------------------------------------------------- reductions


@pytest.mark.parametrize(
    "x, expected",
    [
        ([2, 3, 4], [12, 8, 6]),
        ([2, 0, 4], [0, 8, 0]),
        ([2, 0, 0], [0, 0, 0]),
        ([0], [1]),
    ],
)
def test_product_is_differentiable_at_zeros(x, expected) -> None:
    product = lambda x: lax.reduce_prod(x, (0,))
    same(fx.grad(product)(F(x)), expected)
    same(fx.jit(fx.grad(product))(F(x)), expected)


def test_second_derivative_of_the_product_at_zeros() -> None:
    x = F([2, 0, 0])
    hessian = fx.jacfwd(fx.grad(lambda x: lax.reduce_prod(x, (0,))))(x)
    same(hessian, [[0, 0, 0], [0, 0, 2], [0, 2, 0]])


def test_extrema_split_ties_and_let_nan_win() -> None:
    same(fx.grad(lambda x: lax.reduce_max(x, (0,)))(F([2, 1, 2])), [0.5, 0, 0.5])
    same(fx.grad(lambda x: lax.reduce_min(x, (0,)))(F([1, 1, 1, 1])), [0.25] * 4)
    for f in (lax.reduce_max, lax.reduce_min):
        assert np.isnan(np.asarray(f(F([1, NAN, 2]), (0,))))
    for f in (lax.argmax, lax.argmin):
        assert int(f(F([1, NAN, 2, NAN]), 0, np.int32)) == 1
    assert int(lax.argmax(F([3, 5, 5]), 0, np.int32)) == 1


def test_empty_axes_give_the_identity() -> None:
    x = np.zeros((0, 2), F)
    same(lax.reduce_sum(x, (0,)), [0, 0])
    same(lax.reduce_prod(x, (0,)), [1, 1])
    same(lax.reduce_max(x, (0,)), [-INF, -INF])
    same(lax.reduce_min(x, (0,)), [INF, INF])
    assert np.asarray(lax.reduce_and(np.zeros((0, 1), bool), (0,))).tolist() == [True]
    with pytest.raises(ValueError, match="requires non-empty reduced dimension"):
        lax.argmax(x, 0, np.int32)


def test_half_precision_accumulates_in_float32() -> None:
    assert float(lax.reduce_sum(np.full(4096, 1, np.float16), (0,))) == 4096


def test_reduce_with_any_monoid() -> None:
    x = np.arange(1, 7, dtype=F).reshape(2, 3)
    same(lax.reduce(x, F(0), lax.add, (1,)), [6, 15])
    same(lax.reduce(x, F(1), lambda a, b: a * b, (0, 1)), 720)
    assert "reduce_max" in str(fx.make_jaxpr(lambda x: lax.reduce(x, -F(INF), lax.max, (0,)))(x))
    both = lax.reduce(
        (x, np.int32([[5, 3, 1], [2, 9, 4]])),
        (F(0), np.int32(0)),
        lambda a, b: (a[0] + b[0], lax.bitwise_xor(a[1], b[1])),
        (1,),
    )
    same(both[0], [6, 15])
    assert np.asarray(both[1]).tolist() == [5 ^ 3 ^ 1, 2 ^ 9 ^ 4]
    smooth = lambda x: lax.reduce(x, F(0), lambda a, b: lax.tanh(a + b), (0,))
    assert np.asarray(fx.grad(lambda x: smooth(x))(F([0.1, 0.2]))).shape == (2,)


def _composed(f, g):
    """x -> f[0] x + f[1], and g of it: not commutative."""
    return g[0] * f[0], g[0] * f[1] + g[1]


def test_elements_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    units = F(1), F(0)

    def folded(pairs):
        found = units
        for pair in pairs:
            found = _composed(found, pair)
        return found

    f = lambda a, b: lax.reduce((a, b), units, _composed, (0,))
    for n in (2, 3, 4, 7, 16):
        a, b = rng.uniform(-1, 1, (2, n, 3)).astype(F)
        want = folded(zip(a, b))
        for found in (f(a, b), fx.jit(f)(a, b)):
            np.testing.assert_allclose(found, want, rtol=2e-5, atol=1e-6)
    a, b = rng.uniform(-1, 1, (2, 4, 5)).astype(F)
    want = folded(zip(a.ravel(), b.ravel()))
    for dims in ((0, 1), (1, 0)):
        found = lax.reduce((a, b), units, _composed, dims)
        np.testing.assert_allclose(found, want, rtol=2e-5, atol=1e-6)
    windows = lax.reduce_window((a, b), units, _composed, (2, 3), (1, 1), "VALID")
    want = folded(zip(a[1:3, 1:4].ravel(), b[1:3, 1:4].ravel()))
    np.testing.assert_allclose([w[1, 1] for w in windows], want, rtol=2e-5, atol=1e-6)

    def first(x, y):
        keep = x[0] >= y[0]
        return lax.select(keep, x[0], y[0]), lax.select(keep, x[1], y[1])

    x, places = F([1, 5, 5, 5, 2, 5, 0]), np.arange(7, dtype=np.int32)
    assert int(lax.reduce((x, places), (-F(INF), np.int32(-1)), first, (0,))[1]) == 1


# ---------------------------------------------------------------- running folds


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "f, fold",
    [
        (lax.cumsum, np.add),
        (lax.cumprod, np.multiply),
        (lax.cummax, np.maximum),
        (lax.cummin, np.minimum),
        (lax.cumlogsumexp, np.logaddexp),
    ],
)
def test_running_folds(f, fold, reverse, rng) -> None:
    x = rng.uniform(-2, 2, (3, 7)).astype(F)
    turned = x[:, ::-1] if reverse else x
    expected = fold.accumulate(turned, 1)
    expected = expected[:, ::-1] if reverse else expected
    np.testing.assert_allclose(np.asarray(f(x, 1, reverse)), expected, 1e-5, 1e-6)
    np.testing.assert_allclose(
        np.asarray(fx.jit(lambda x: f(x, 1, reverse))(x)), expected, 1e-5, 1e-6
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("f, better", [(lax.cummax, max), (lax.cummin, min)])
def test_running_extrema_of_complex_numbers(f, better, reverse) -> None:
    """By real part, then by imaginary part; the cotangents of a run go to what won it."""
    z = [1 + 1j, 1 - 2j, 3 + 0j, 1 + 5j, 3 - 1j, 1 + 1j]
    order = range(len(z))[::-1] if reverse else range(len(z))
    won, best = np.zeros(len(z), int), None
    for k in order:
        if best is None or better((z[best].real, z[best].imag), (z[k].real, z[k].imag)) != (
            (z[best].real, z[best].imag)
        ):
            best = k
        won[k] = best
    x = np.array(z, np.complex64)
    weights = np.arange(1.0, 7.0, dtype=np.float32)
    grad = fx.grad(lambda x: (f(x, reverse=reverse).real * weights).sum())
    for run in (lambda g: g, fx.jit):
        np.testing.assert_array_equal(run(lambda x: f(x, reverse=reverse))(x), x[won])
        np.testing.assert_allclose(run(grad)(x), np.bincount(won, weights, len(z)))
    rows = fx.vmap(lambda x: f(x, reverse=reverse))(np.stack([x, -x]))
    np.testing.assert_array_equal(rows[0], x[won])


def test_cumprod_at_zero_and_cumlogsumexp_at_minus_infinity() -> None:
    jacobian = fx.jacrev(lambda x: lax.cumprod(x))(F([2, 0, 3]))
    same(jacobian, [[1, 0, 0], [0, 2, 0], [0, 6, 0]])
    same(lax.cumlogsumexp(F([-INF, 0.0])), [-INF, 0])
    assert np.isfinite(np.asarray(fx.grad(lambda x: lax.cumlogsumexp(x)[1])(F([-INF, 0.0])))).all()


# ---------------------------------------------------------------- windows


def pool(x, op, init, size, stride, padding="VALID"):
    return lax.reduce_window(x, F(init), op, (size,) * x.ndim, (stride,) * x.ndim, padding)


def test_max_pooling_and_its_gradient() -> None:
    x = F([[1, 2], [4, 3]])
    largest = lambda x: pool(x, lax.max, -INF, 2, 1)
    same(largest(x), [[4]])
    gradient = fx.grad(lambda x: lax.reduce_sum(largest(x), (0, 1)))
    same(gradient(x), [[0, 0], [1, 0]])
    tied = gradient(F([[1, 1], [1, 1]]))
    assert float(np.asarray(tied).sum()) == 1
    same(fx.jit(gradient)(x), [[0, 0], [1, 0]])
    same(fx.grad(lambda x: lax.reduce_sum(pool(x, lax.max, -INF, 2, 2), (0,)))(F([1, 3, 2, 5])),
         [0, 1, 0, 1])  # fmt: skip


def test_padding_never_wins() -> None:
    x = F([-INF, -INF, -1])
    padded = lambda x: lax.reduce_window(x, F(-INF), lax.max, (3,), (1,), "SAME")
    _, pull = fx.vjp(padded, x)
    same(pull(F([1, 1, 1]))[0], [1, 0, 2])


def test_average_pooling_and_its_gradient() -> None:
    mean = lambda x: pool(x, lax.add, 0, 2, 1) / 4.0
    x = F([[1, 2], [4, 3]])
    same(mean(x), [[2.5]])
    same(fx.grad(lambda x: lax.reduce_sum(mean(x), (0, 1)))(x), np.full((2, 2), 0.25))


def test_overlapping_windows_against_a_loop(rng) -> None:
    x = rng.permutation(48).astype(F).reshape(6, 8)
    ct = rng.uniform(-1, 1, (3, 3)).astype(F)
    value, pull = fx.vjp(
        lambda x: lax.reduce_window(x, F(-INF), lax.max, (3, 3), (2, 3), ((1, 0), (1, 1))), x
    )
    padded = np.pad(x, ((1, 0), (1, 1)), constant_values=-INF)
    expected, back = np.zeros((3, 3), F), np.zeros_like(padded)
    for i in range(3):
        for j in range(3):
            window = padded[2 * i : 2 * i + 3, 3 * j : 3 * j + 3]
            at = np.unravel_index(np.argmax(window), (3, 3))
            expected[i, j] = window[at]
            back[2 * i + at[0], 3 * j + at[1]] += ct[i, j]
    same(value, expected)
    same(pull(ct)[0], back[1:, 1:-1])
    same(fx.jit(lambda c: pull(c)[0])(ct), back[1:, 1:-1])


PLACES = {  # window, strides, padding, gaps of the operand, gaps of the window
    "padded": ((3, 3), (1, 1), ((2, 1), (1, 2)), (1, 1), (1, 1)),
    "strided": ((3, 2), (2, 3), ((1, 0), (0, 1)), (1, 1), (1, 1)),
    "gaps": ((3, 3), (1, 2), ((2, 2), (2, 1)), (2, 3), (1, 1)),
    "spread": ((2, 3), (1, 1), ((1, 0), (2, 2)), (1, 1), (3, 2)),
    "cropped": ((2, 2), (1, 1), ((-1, 1), (1, -2)), (1, 1), (1, 1)),
    "in padding alone": ((2, 2), (1, 1), ((3, 0), (0, 3)), (1, 1), (1, 1)),
}


@pytest.mark.parametrize("case", PLACES)
@pytest.mark.parametrize("op", ("max", "min"))
def test_winners_of_rows_and_then_of_these_are_the_windows_winners(case, op, rng) -> None:
    """First of equal ones, no number before all others, padding last, row by row."""
    params = window_params(*PLACES[case])
    place = fx.jit(lambda x: window_arg_p.bind(x, op=op, **params))
    for odds in (0.0, 0.3, 0.9):
        x = rng.integers(-2, 3, (6, 7)).astype(F)
        for odd in (-INF, INF, NAN, -0.0):
            x[rng.random(x.shape) < odds / 3] = odd
        expected = window_arg_p.numpy(x, op=op, **params)
        assert np.asarray(place(x)).tolist() == expected.tolist()
        flat = np.where(np.isfinite(x), x, 100).astype(np.int32)
        expected = window_arg_p.numpy(flat, op=op, **params)
        assert np.asarray(place(flat)).tolist() == expected.tolist()


def test_the_gradient_of_wide_windows_computes_no_window_twice() -> None:
    """The places that read the winners each computed them anew: 470,000 characters for 5 x 5."""

    def lengths(k: int) -> int:
        f = fx.grad(lambda x: (pool(x, lax.max, -INF, k, 1, "SAME") ** 2).sum())
        plan = lower_function(f, (np.zeros((64, 64), F),), ()).plan
        return sum(len(p.source) for p in plan.programs)

    assert lengths(5) < 100_000
    assert lengths(9) < 4 * lengths(5)  # (9 / 5) ** 2 where they are put back


def test_windows_of_any_monoid() -> None:
    x = F([1, 2, 3, 4])
    same(lax.reduce_window(x, F(1), lax.mul, (2,), (1,)), [2, 6, 12])
    same(lax.reduce_window(x, F(1), lax.mul, (2,), (1,), "SAME"), [2, 6, 12, 4])
    same(fx.jit(lambda x: lax.reduce_window(x, F(1), lax.mul, (2,), (2,)))(x), [2, 12])


# ---------------------------------------------------------------- sorting


def test_sort_and_its_cotangent() -> None:
    x = F([3, 1, 2])
    value, pull = fx.vjp(lax.sort, x)
    same(value, [1, 2, 3])
    same(pull(F([10, 20, 30]))[0], [30, 10, 20])


def test_nan_goes_last_and_ties_keep_their_order() -> None:
    x = F([NAN, 1, -INF, INF, 1])
    keys, places = lax.sort_key_val(x, np.arange(5, dtype=np.int32))
    same(keys, [-INF, 1, 1, INF, NAN])
    assert np.asarray(places).tolist() == [2, 1, 4, 3, 0]


def test_sort_by_several_keys() -> None:
    first, second = np.int32([1, 0, 1, 0]), F([2, 4, 1, 3])
    a, b, c = lax.sort((first, second, np.arange(4, dtype=np.int32)), num_keys=2)
    assert np.asarray(a).tolist() == [0, 0, 1, 1]
    assert np.asarray(b).tolist() == [3, 4, 1, 2]
    assert np.asarray(c).tolist() == [3, 1, 2, 0]


def test_top_k_prefers_lower_indices() -> None:
    values, places = lax.top_k(F([[1, 5, 5, 2], [4, 3, 2, 1]]), 2)
    same(values, [[5, 5], [4, 3]])
    assert np.asarray(places).tolist() == [[1, 2], [0, 1]]
    same(fx.grad(lambda x: lax.reduce_sum(lax.top_k(x, 2)[0], (0,)))(F([1, 7, 3])), [0, 1, 1])


@pytest.mark.parametrize(
    "bad, message",
    [
        (lambda: lax.sort((F([1]), F([1, 2]))), "Arguments to sort must have equal shapes"),
        (lambda: lax.top_k(F([1]), 2), "must be no larger than size along axis"),
        (lambda: lax.sort(F([1]), num_keys=2), "num_keys=2 must be between 1 and"),
        (lambda: lax.reduce_sum(F([1]), (1,)), "axis .* is out of bounds"),
        (lambda: lax.cumsum(F([1]), 1), "axis .* is out of bounds"),
    ],
)
def test_messages(bad, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        bad()


def test_indices_that_the_dtype_does_not_hold():
    """Loud, where they would come back wrapped."""
    long = fx.ShapeDtypeStruct((1 << 31, 2), np.int8)
    assert fx.eval_shape(lambda x: fx.lax.argmax(x, 0, np.int32), long).shape == (2,)
    with pytest.raises(OverflowError, match="int32 does not hold"):
        fx.eval_shape(
            lambda x: fx.lax.argmin(x, 0, np.int32), fx.ShapeDtypeStruct((1 << 32,), bool)
        )
    assert fx.lax.argmax(np.arange(128), 0, np.int8) == 127
    with pytest.raises(OverflowError, match="129 elements"):
        fx.lax.argmax(np.arange(129), 0, np.int8)


def test_blocks_of_a_fold_whose_columns_were_exchanged():
    def program(x):
        y = x.reshape(4096, 2, 32).swapaxes(1, 2).reshape(4096, 64)
        return fx.numpy.pad(y, ((1, 0), (0, 1)))[1:, :-1].max(0)

    x = np.random.default_rng(0).standard_normal((4096, 64)).astype(np.float32)
    turned = x.reshape(4096, 2, 32).swapaxes(1, 2).reshape(4096, 64)
    np.testing.assert_array_equal(fx.jit(program)(x), turned.max(0))
