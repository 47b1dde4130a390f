"""Batching: axes as prefix trees, errors that name arguments, named axes and collectives,
nesting.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax

M = fnp.arange(12.0).reshape(3, 4)
W = fnp.arange(4.0)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("in_axes, out_axes", [(0, 0), (1, 0), (-1, 0), (0, 1), (1, -1), (0, -1)])
def test_axes(in_axes, out_axes, wrap):
    f = lambda x: fnp.stack([x, 2 * x])
    out = wrap(fx.vmap(f, in_axes, out_axes))(M)
    loop = np.stack([np.asarray(f(x)) for x in np.moveaxis(np.asarray(M), in_axes, 0)])
    np.testing.assert_array_equal(out, np.moveaxis(loop, 0, out_axes))


def test_prefix_trees():
    def f(params, x, *, scale):
        return {"y": params["w"] @ x * scale, "w": params["w"]}

    params = {"w": W, "unused": [fnp.zeros(2), None]}
    out = fx.vmap(f, in_axes=(None, 0), out_axes={"y": 0, "w": None})(params, M, scale=fnp.ones(3))
    np.testing.assert_array_equal(out["y"], np.asarray(M) @ np.asarray(W))
    np.testing.assert_array_equal(out["w"], W)
    out = fx.vmap(lambda p: p["a"] + p["b"], in_axes=({"a": 0, "b": None},))({"a": W, "b": 1.0})
    np.testing.assert_array_equal(out, W + 1)


def test_outputs_that_are_not_mapped_are_broadcast():
    out = fx.vmap(lambda x: (x, 1.0, W))(fnp.ones(3))
    assert [o.shape for o in out] == [(3,), (3,), (3, 4)]
    with pytest.raises(ValueError, match="out_axes is None"):
        fx.vmap(lambda x: x, out_axes=None)(W)


def test_axis_size_alone():
    out = fx.vmap(lambda: lax.axis_index("i") * 2, axis_name="i", axis_size=3)()
    np.testing.assert_array_equal(out, [0, 2, 4])


def test_errors_name_the_argument():
    def f(x, params):
        return x

    with pytest.raises(
        ValueError,
        match=r"(?s)inconsistent sizes.*axis 0 of argument x.*size 3.*params\['b'\].*size 4",
    ):
        fx.vmap(f)(M, {"b": W})
    with pytest.raises(
        ValueError,
        match=r"argument params\['b'\] along axis 1.*rank should be at least 2, but is only 1",
    ):
        fx.vmap(f, in_axes=(0, 1))(M, {"b": W})
    with pytest.raises(ValueError, match=r"tree prefix.*vmap in_axes\[1\]"):
        fx.vmap(f, in_axes=(0, {"c": 0}))(M, {"b": W})
    with pytest.raises(ValueError, match="at least one non-None value in in_axes"):
        fx.vmap(f, in_axes=None)(M, W)
    with pytest.raises(TypeError, match="in_axes must be an int, None, or a tuple"):
        fx.vmap(f, in_axes="0")
    with pytest.raises(ValueError, match=r"len\(in_axes\)=1, len\(args\)=2"):
        fx.vmap(f, in_axes=(0,))(M, W)
    with pytest.raises(ValueError, match="output along axis 2"):
        fx.vmap(lambda x: x, out_axes=2)(W)
    with pytest.raises(TypeError, match="out_axes must be"):
        fx.vmap(f, out_axes="a")


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit], ids=["eager", "jit"])
def test_collectives(wrap):
    x = M[:, :3]
    n = np.asarray(x)

    def mapped(f, out_axes=0):
        return np.asarray(wrap(fx.vmap(f, out_axes=out_axes, axis_name="i"))(x))

    np.testing.assert_array_equal(mapped(lambda v: lax.psum(v, "i")), np.tile(n.sum(0), (3, 1)))
    np.testing.assert_array_equal(mapped(lambda v: lax.psum(v, "i"), None), n.sum(0))
    np.testing.assert_allclose(mapped(lambda v: v - lax.pmean(v, "i")), n - n.mean(0))
    np.testing.assert_array_equal(mapped(lambda v: lax.pmax(v, "i"), None), n.max(0))
    np.testing.assert_array_equal(mapped(lambda v: lax.pmin(v, "i"), None), n.min(0))
    np.testing.assert_array_equal(mapped(lambda v: lax.all_gather(v, "i"), None), n)
    np.testing.assert_array_equal(mapped(lambda v: lax.all_gather(v, "i", axis=1), None), n.T)
    np.testing.assert_array_equal(
        mapped(lambda v: lax.all_gather(v, "i", tiled=True), None), n.ravel()
    )
    np.testing.assert_array_equal(mapped(lambda v: lax.psum_scatter(v, "i")), n.sum(0))
    np.testing.assert_array_equal(mapped(lambda v: lax.all_to_all(v, "i", 0, 0)), n.T)
    np.testing.assert_array_equal(
        mapped(lambda v: lax.ppermute(v, "i", [(0, 1), (1, 2)])), [n[0] * 0, n[0], n[1]]
    )
    np.testing.assert_array_equal(mapped(lambda v: lax.pshuffle(v, "i", [2, 0, 1])), n[[2, 0, 1]])
    np.testing.assert_array_equal(mapped(lambda v: lax.axis_index("i") + 0 * v)[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(mapped(lambda v: v * lax.psum(1, "i")), n * 3)


def test_two_named_axes():
    f = lambda x: lax.psum(x, ("i", "j")) + lax.psum(x, "j") + lax.axis_index(("i", "j"))
    out = fx.vmap(fx.vmap(f, axis_name="j"), axis_name="i")(M)
    n = np.asarray(M)
    np.testing.assert_array_equal(
        out, n.sum() + n.sum(1, keepdims=True) + np.arange(12).reshape(3, 4)
    )


@pytest.mark.parametrize("outer", [True, False])
def test_exchanges_over_two_named_axes_are_those_over_one_of_all_examples(outer, rng):
    """Examples count in the order of the names, the first the most, as axis_index says."""
    names = ("i", "j")
    x = fnp.asarray(rng.standard_normal((2, 3, 6, 12)), dtype="float32")
    pairs = [(0, 5), (5, 1), (3, 3)]
    for f in (
        lambda v, a: lax.all_gather(v, a, axis=1),
        lambda v, a: lax.all_gather(v, a, axis=1, tiled=True),
        lambda v, a: lax.psum_scatter(v, a),
        lambda v, a: lax.psum_scatter(v, a, scatter_dimension=1, tiled=True),
        lambda v, a: lax.ppermute(v, a, pairs),
        lambda v, a: lax.all_to_all(v, a, 0, 1),
        lambda v, a: lax.all_to_all(v, a, 1, 0, tiled=True),
    ):
        over = lambda v, f=f: fnp.sin(f(v, names))
        if outer:  # which of the two vmaps is the outer does not matter
            two = lambda v, over=over: fx.vmap(fx.vmap(over, axis_name="j"), axis_name="i")(v)
        else:
            two = lambda v, over=over: fx.vmap(
                fx.vmap(over, axis_name="i"), axis_name="j", in_axes=1, out_axes=1
            )(v)
        one = lambda v, f=f: fx.vmap(lambda u: fnp.sin(f(u, "k")), axis_name="k")(v)
        flat = x.reshape(6, 6, 12)
        got = two(x)
        np.testing.assert_allclose(got.reshape(6, *got.shape[2:]), one(flat), atol=1e-5)
        slope = fx.grad(lambda v, two=two: (two(v) ** 2).sum())(x)
        np.testing.assert_allclose(
            slope.reshape(flat.shape),
            fx.grad(lambda v, one=one: (one(v) ** 2).sum())(flat),
            atol=1e-4,
        )


def test_collectives_inside_inner_jit_and_inner_vmap():
    inner = fx.jit(lambda v: lax.psum(v, "i") * fx.vmap(lambda u: lax.pmax(u, "i"))(v))
    n = np.asarray(M)
    np.testing.assert_allclose(
        fx.vmap(inner, axis_name="i")(M), np.tile(n.sum(0) * n.max(0), (3, 1)), rtol=1e-6
    )
    # no mapped operand, and yet it reads the axis
    np.testing.assert_array_equal(
        fx.vmap(lambda x: x + fx.jit(lambda: lax.axis_index("i"))(), axis_name="i")(fnp.zeros(3)),
        [0, 1, 2],
    )


def test_gradients_of_collectives(rng):
    x = fnp.asarray(rng.standard_normal(4), dtype="float32")

    def loss(x):
        return fx.vmap(lambda v: (v - lax.pmean(v, "i")) ** 2, axis_name="i")(x).sum()

    n = np.asarray(x)
    np.testing.assert_allclose(fx.grad(loss)(x), 2 * (n - n.mean()), rtol=1e-4, atol=1e-6)
    from fx.testing import check_grads

    for f in (
        lambda v: lax.ppermute(fnp.sin(v), "i", [(0, 1), (1, 3)]),
        lambda v: (lax.all_gather(v, "i") ** 2).sum() * v,
        lambda v: lax.pmax(v, "i") * v,
    ):
        check_grads(fx.vmap(f, axis_name="i"), (x,), 1)


def test_nested_and_kept_apart():
    out = fx.vmap(lambda x: fx.vmap(lambda y: x * y)(W))(fnp.arange(3.0))
    np.testing.assert_array_equal(out, np.outer(np.arange(3.0), np.arange(4.0)))
    out = fx.vmap(fx.vmap(lambda x, y: x + y, (0, None)), (None, 0))(W, fnp.arange(3.0))
    assert out.shape == (3, 4)


def test_values_are_abstract_inside():
    with pytest.raises(fx.errors.TracerBoolConversionError, match="mapped by vmap"):
        fx.vmap(lambda x: x if x > 0 else -x)(W)
    with pytest.raises(ValueError, match="more than one element is ambiguous"):
        fx.vmap(lambda x: x if x > 0 else -x)(W.reshape(2, 2))


def test_per_example_gradients_equal_a_loop(rng):
    w = {"a": fnp.asarray(rng.standard_normal((4, 2)), dtype="float32"), "b": fnp.zeros(2)}

    def loss(w, x):
        return (fnp.tanh(x @ w["a"] + w["b"]) ** 2).sum()

    batch = fx.vmap(fx.grad(loss), (None, 0))(w, M)
    for k in range(3):
        one = fx.grad(loss)(w, M[k])
        for key in w:
            np.testing.assert_allclose(batch[key][k], one[key], rtol=1e-5, atol=1e-6)


def test_empty_batch():
    assert fx.vmap(fnp.sin)(fnp.zeros((0, 3))).shape == (0, 3)
