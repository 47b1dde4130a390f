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
