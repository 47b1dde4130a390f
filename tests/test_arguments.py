"""Arguments that few programs give: what they do, and what they refuse."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import fx
import fx.numpy as fnp


def test_prints_take_their_options_first(capsys):
    def f(x):
        fx.debug.print(ordered=True)("{x} {ordered}", x=x, ordered="free")
        return x

    fx.jit(f)(1.0)
    fx.effects_barrier()
    assert capsys.readouterr().out == "1.0 free\n"
    with pytest.raises(KeyError, match="needs arguments"):
        fx.debug.print(ordered=True)("{x}")
    with pytest.raises(TypeError, match="must be a string"):
        fx.debug.log(None, 1)


def test_node_types():
    pair = namedtuple("pair", "a b")
    nodes = list, tuple, dict, type(None), pair, fx.tree_util.Partial
    assert all(fx.tree_util.is_tree_node(t) for t in nodes)
    assert not any(fx.tree_util.is_tree_node(t) for t in (int, np.ndarray, [1], {}))


def test_arrays_of_others_are_placed_and_copied_on_request():
    given = np.arange(3.0, dtype=np.float32)
    for take in (fnp.from_dlpack, fx.dlpack.from_dlpack):
        shared = take(given, device=fx.devices()[0])
        assert np.shares_memory(np.asarray(shared), given)
        assert not np.shares_memory(np.asarray(take(given, copy=True)), given)
        with pytest.raises(ValueError, match="copy=False"):
            take(given.astype(np.float64), copy=False)
        with pytest.raises(TypeError, match="__dlpack__"):
            take([1.0])


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (0, 2)])
def test_raw_qr_is_reflections_and_scales(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    want = np.linalg.qr(x, mode="raw")
    for qr in (fnp.linalg.qr, fx.jit(fnp.linalg.qr, static_argnames="mode")):
        packed, taus = qr(x, mode="raw")
        np.testing.assert_allclose(packed, want[0], rtol=1e-5)
        np.testing.assert_allclose(taus, want[1], rtol=1e-5)
    assert fnp.linalg.qr(x, mode="full")[0].shape[-1] == min(shape[-2:])


def test_scaled_products():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 8)), rng.normal(size=(2, 5, 8))
    s, t = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4))
    want = np.einsum("bmk,bnk->bmn", a * np.repeat(s, 2, -1), b * np.repeat(t, 2, -1))
    got = fx.nn.scaled_matmul(a, b, s, t)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    assert fx.nn.scaled_matmul(a, b, s, t, preferred_element_type=fnp.bfloat16).dtype == "bfloat16"
    with pytest.raises(ValueError, match=r"lhs \(2, 3, 8\).*wanted"):
        fx.nn.scaled_matmul(a, b, s, t[:, :3])


F = np.array([1.5, 2.5, 0.25, 4], np.float32)
I = np.array([2, 0, 3], np.int32)


def test_sums_and_products_of_truth():
    for x in (F, I, I * 0, I == 2):
        bits = x.astype(bool)
        assert fnp.sum(x, dtype=bool) == bits.any() and fnp.prod(x, dtype=bool) == bits.all()
        assert fnp.cumsum(x, dtype=bool).tolist() == np.logical_or.accumulate(bits).tolist()
        assert fnp.cumprod(x, dtype=bool).tolist() == np.logical_and.accumulate(bits).tolist()
    assert fnp.sum(I, dtype=bool, where=I < 2, initial=3)
    assert fnp.nansum(F, dtype=bool).dtype == bool


def test_means_in_a_dtype():
    assert (fnp.mean(F, dtype="int32"), fnp.nanmean(F, dtype="int8")) == (1, 1)  # 7 // 4
    assert fnp.nanmean(F, dtype="int8").dtype == "int8"
    assert fnp.mean(F, dtype="int32", where=F > 2).dtype == "int32"
    assert fnp.var(F, dtype="complex64").dtype == fnp.std(F, dtype="complex64").dtype == "complex64"
    assert fnp.nanvar(F, dtype=float).dtype == "float32"
    for f in (fnp.mean, fnp.nanmean):
        with pytest.raises(TypeError):
            f(F, dtype=bool)
    for f in (fnp.var, fnp.std, fnp.nanvar, fnp.nanstd):
        for dtype in (bool, "int32"):
            with pytest.raises(ValueError, match="must be inexact"):
                f(F, dtype=dtype)
    with pytest.raises(ValueError, match="complex64"):
        fnp.nanvar(F + 1j, dtype="float32")


def test_quantiles_have_the_type_of_their_values():
    b = fnp.asarray(F, "bfloat16")
    for method in ("linear", "lower", "nearest"):
        assert fnp.quantile(b, np.float32(0.3), method=method).dtype == "bfloat16"
    weighted = fnp.quantile(b, 0.3, weights=fnp.ones(4), method="inverted_cdf")
    assert (weighted.dtype, weighted.weak_type) == ("float32", False)


def test_axes_beyond_the_reach_of_indices():
    x = fx.ShapeDtypeStruct((2**31 + 5,), np.int8)
    for f in (lambda x, i: x[i], lambda x, i: x.at[2**31 + 1].set(1)):
        with pytest.raises(OverflowError, match="do not reach"):
            fx.eval_shape(f, x, fx.ShapeDtypeStruct((), np.int32))
    with pytest.raises(OverflowError, match="2147483653 elements"):
        fx.eval_shape(lambda x: x[np.array([2**31 + 1])], x)
    assert fx.eval_shape(lambda x: x[2**31 + 1] + x[-1], x).shape == ()


def test_taylor_series_of_weak_values_stay_weak():
    value, series = fx.experimental.jet.jet(lambda v: v**3, (2.0,), ((1.0, 0.0),))
    assert value.weak_type and all(t.weak_type for t in series)


@pytest.mark.parametrize("entry", [1.5, np.float32(1), 1j, np.array([1])])
def test_slices_are_of_integers(entry):
    x = fnp.arange(5.0)
    for f in (lambda x: x[entry:3], lambda x: x.at[entry:3].set(0.0), fx.jit(lambda x: x[:entry])):
        with pytest.raises(TypeError):
            f(x)
    assert x[np.uint8(1) : fnp.int32(3)].tolist() == [1, 2]


def test_select_takes_numbers_as_conditions():
    assert fnp.select([np.array([0, 0.5, 0])], [np.arange(3)], 9).tolist() == [9, 1, 9]


def test_gradients_of_functions_applied_at_repeated_places():
    def f(x):
        return (x.at[np.array([1, 1, 3])].apply(lambda v: v * v) * np.arange(5)).sum()

    want = [0, 4 * 2**3, 2, 3 * 2 * 4, 4]
    assert fx.grad(f)(fnp.arange(1.0, 6.0)).tolist() == want


@pytest.mark.parametrize("bins", [[-1, 0, 2], [2, 0, -1]])
@pytest.mark.parametrize("right", [False, True])
def test_digits_of_bins_that_rise_or_fall(bins, right):
    x = np.array([-2, -1, -0.5, 0, 1, 2, 3], np.float32)
    got = fnp.digitize(x, np.array(bins), right=right)
    assert got.tolist() == np.digitize(x, bins, right=right).tolist()


def test_products_of_complex_values_in_a_real_dtype():
    c = np.array([[1 + 2j, 3 - 1j], [2j, 1]], np.complex64)
    for f in (fnp.dot, fnp.matmul, fx.lax.dot):
        got = f(c, c, preferred_element_type=np.float32)
        assert got.dtype == "float32"
        np.testing.assert_allclose(got, (c @ c).real)


def test_types_of_elementwise_functions():
    assert fnp.square(np.array([True, False])).dtype == "int32"
    assert not fnp.heaviside(np.array([True, False]), 0.5).weak_type
    assert fnp.setxor1d(np.array([1, 2, 3]), np.array([3, 4]), size=5).tolist() == [1, 2, 4, 1, 1]
    assert fnp.vander(np.array([1, 2], np.uint8)).dtype == "uint8"
    with pytest.raises(ValueError, match="ldexp"):
        fnp.ldexp(np.complex64(1j), 1)
    with pytest.raises(ValueError, match="complex"):
        fnp.interp(np.complex64(1j), F, F)


def test_names_of_jax_that_change_nothing_here():
    """Transfer guards, random number flags, algorithms of products: accepted, and checked."""
    x = fnp.ones((2, 3), fnp.float16)
    numbers = (((1,), (1,)), ((), ()))
    with fx.transfer_guard("disallow"), fx.threefry_partitionable(True):
        out = fx.lax.dot_general(x, x, numbers, fx.lax.DotAlgorithmPreset.F16_F16_F32)
    assert out.dtype == fnp.float16
    with pytest.raises(ValueError, match="must be one of"), fx.transfer_guard("perhaps"):
        pass
    assert fx.nn.scaled_dot_general(x, x, numbers).dtype == fnp.float32
    with pytest.raises(NotImplementedError, match="scaled_matmul"):
        fx.nn.scaled_dot_general(x, x, numbers, configs=[None] * 3)
    assert fnp.fromstring("1, 2.5", sep=",").tolist() == [1.0, 2.5]


@pytest.mark.parametrize("jit", [False, True])
def test_round_without_digits_gives_integers(jit):
    x = fnp.asarray(np.float32([2.5, -1.5, 0.4]))
    whole = fx.jit(lambda x: round(x))(x) if jit else round(x)
    assert whole.dtype == np.int32 and whole.tolist() == [2, -2, 0]
    assert round(x, 0).dtype == np.float32 and round(x.astype(np.int8)).dtype == np.int32


def test_the_identity_keeps_dtypes():
    for dtype in (np.bool_, np.int8, np.float16):
        assert fx.nn.identity(np.ones(2, dtype)).dtype == dtype
