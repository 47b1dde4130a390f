"""floDl's operations under their names: arithmetic, activations, mathematics, reductions."""

from __future__ import annotations

import numpy as np
import pytest
from seed_rows import NAN, Jitted, Row, f32, in_three_forms, points

import fx
import fx.losses as losses
import fx.numpy as fnp
from fx import lax, nn

X = f32([[1, 2, 4], [3, 5, 9]])
inf = np.inf

ARITHMETIC = [
    Row("add", fnp.add, (f32([1, 2]), f32([3])), [4, 5], {0: [1, 10], 1: [11]}, f32([1, 10])),
    Row("sub", fnp.subtract, (f32(5), f32(3)), 2.0, {0: 1, 1: -1}),
    Row("mul", lambda x, w: (x * w).sum(), (f32([2]), f32([3])), 6.0, {0: [3], 1: [2]}),
    Row("div", fnp.divide, (f32(3), f32(2)), 1.5, {0: 0.5, 1: -0.75}),
    Row("div-second", lambda y: fx.grad(fx.grad(lambda y: 3 / y))(y), (f32(2),), 0.75),
    Row(
        "matmul",
        fnp.matmul,
        (f32([[1, 2], [3, 4]]), f32([[5], [6]])),
        [[17], [39]],
        {0: [[5, 6], [5, 6]], 1: [[4], [6]]},
    ),
    Row(
        "matmul-batched",
        fnp.matmul,
        (np.ones((5, 2, 3), "f"), np.ones((3, 4), "f")),
        np.full((5, 2, 4), 3),
        {1: np.full((3, 4), 10)},
    ),
    Row("mul_scalar", lambda x: x * 2.0, (f32([1, 2]),), [2, 4], {0: [2, 2]}),
    Row("add_scalar", lambda x: x + 2.0, (f32([1, 2]),), [3, 4], {0: [1, 1]}),
    Row("div_scalar", lambda x: x / 2.0, (f32([1, 2]),), [0.5, 1], {0: [0.5, 0.5]}),
    Row("neg", fnp.negative, (f32([1, -2]),), [-1, 2], {0: [-1, -1]}),
]

ACTIVATIONS = [
    *points(
        "relu", nn.relu, (0.7, 0.7, 1, 0), (-1.2, 0, 0, 0), (0, 0, 0, 0), (-inf, 0), (NAN, NAN)
    ),
    *points(
        "sigmoid",
        nn.sigmoid,
        (0.7, 0.66818777, 0.22171287, -0.074578788),
        (-1.2, 0.23147522, 0.17789444, 0.095538132),
        (100, 1, 0),
        (-100, 0, 0),
    ),
    *points(
        "tanh",
        fnp.tanh,
        (0.7, 0.60436778, 0.63473959, -0.76723231),
        (-1.2, -0.83365461, 0.30502000, 0.50856265),
        (50, 1, 0),
        (1e-4, 1e-4),
    ),
    *points(
        "gelu",
        lambda x: nn.gelu(x, approximate=False),
        (0.7, 0.53062544, 0.97661410, 0.47150344),
        (-1.2, -0.13808360, -0.11795360, 0.10874419),
    ),
    *points("gelu_tanh", nn.gelu, (-1.2, -0.13829723, -0.11772613)),
    *points(
        "silu",
        nn.silu,
        (0.7, 0.46773144, 0.82338678, 0.39122059),
        (-1.2, -0.27777026, 0.018001888, 0.24114312),
        (-100, 0, 0),
    ),
    *points("leaky_relu", nn.leaky_relu, (-1.2, -0.012, 0.01), (0.7, 0.7, 1)),
    Row("leaky_relu-slope", nn.leaky_relu, (f32(-1.2), f32(0.01)), -0.012, {1: -1.2}),
    *points("elu", nn.elu, (-1.2, -0.69880579, 0.30119421, 0.30119421), (200, 200, 1)),
    *points(
        "softplus",
        nn.softplus,
        (0.7, 1.1031860, 0.66818777, 0.22171287),
        (-1.2, 0.26328247, 0.23147522, 0.17789444),
        (1000, 1000, 1),
    ),
    Row("softplus-small", lambda x: nn.softplus(x) * 1e9, (f32(-20),), 2.0611537),
    Row(
        "softplus-beta", lambda x: nn.softplus(x, beta=2.0), (f32(0.7),), np.log1p(np.exp(1.4)) / 2
    ),
    *points(
        "mish",
        nn.mish,
        (0.7, 0.56114838, 0.96879487, 0.35397642),
        (-1.2, -0.30883580, -0.0020087614, 0.26385602),
    ),
    *points(
        "selu", nn.selu, (0.7, 0.73549069, 1.0507010, 0), (-1.2, -1.2285700, 0.52952935, 0.52952935)
    ),
    *points(
        "hardswish",
        nn.hard_swish,
        (0.7, 0.43166667, 0.73333333, 1 / 3),
        (-1.2, -0.36, 0.1, 1 / 3),
        (-4, 0, 0),
        (4, 4, 1),
    ),
    *points(
        "hardsigmoid",
        nn.hard_sigmoid,
        (0.7, 0.61666667, 1 / 6, 0),
        (-1.2, 0.3, 1 / 6),
        (4, 1, 0),
        (-4, 0, 0),
    ),
    Row("prelu", nn.prelu, (f32([-1.2, 0.7]), f32(0.25)), [-0.3, 0.7], {0: [0.25, 1], 1: -1.2}),
    Row(
        "prelu-channels",
        nn.prelu,
        (f32([[-1, -2], [-3, 4]]), f32([0.5, 0.25])),
        [[-0.5, -0.5], [-1.5, 4]],
        {1: [-4, -2]},
    ),
    Row(
        "softmax",
        nn.softmax,
        (f32([1, 2, 3]),),
        [0.09003057, 0.24472847, 0.66524096],
        {0: [0.08192507, -0.02203304, -0.05989202]},
        f32([1, 0, 0]),
    ),
    Row("softmax-large", nn.softmax, (f32([1000, 1000]),), [0.5, 0.5]),
    Row(
        "softmax-masked",
        nn.softmax,
        (f32([0, -inf]),),
        [1, 0],
        {0: [0, 0]},
        f32([1, 0]),
    ),
    Row(
        "log_softmax",
        nn.log_softmax,
        (f32([1, 2, 3]),),
        [-2.40760596, -1.40760596, -0.40760596],
        {0: [0.90996943, -0.24472847, -0.66524096]},
        f32([1, 0, 0]),
    ),
    Row("log_softmax-large", nn.log_softmax, (f32([1000, 0]),), [0, -1000]),
]

MATH = [
    *points("exp", fnp.exp, (0.7, 2.0137527, 2.0137527, 2.0137527)),
    *points("log", fnp.log, (0.7, -0.35667494, 1.4285714, -2.0408163)),
    *points("sqrt", fnp.sqrt, (0.7, 0.83666003, 0.59761430, -0.42686736), (0, 0, inf)),
    *points("abs", fnp.abs, (-1.2, 1.2, -1), (0, 0, 1)),
    *points("pow_scalar", lambda x: x**3, (2, 8, 12, 12), (-2, -8, 12, -12), (0, 0, 0, 0)),
    *points("pow_scalar-square", lambda x: x**2, (0, 0, 0, 2)),
    *points("pow_scalar-zero", lambda x: x**0, (0, 1, 0)),
    *points("pow_scalar-half", lambda x: x**0.5, (0.7, 0.83666003, 0.59761430, -0.42686736)),
    *points("sin", fnp.sin, (0.7, 0.64421769, 0.76484219, -0.64421769), (1e4, -0.30561439)),
    *points("cos", fnp.cos, (0.7, 0.76484219, -0.64421769, -0.76484219)),
    *points("sign", fnp.sign, (-2, -1, 0), (0, 0, 0), (3, 1, 0)),
    *points("floor", fnp.floor, (-1.2, -2, 0)),
    *points("ceil", fnp.ceil, (-1.2, -1, 0)),
    *points("round", fnp.round, (0.5, 0, 0), (1.5, 2, 0), (2.5, 2, 0)),
    *points("reciprocal", fnp.reciprocal, (0.7, 1.4285714, -2.0408163, 5.8309038)),
    Row("clamp", lambda x: fnp.clip(x, -1, 1), (f32([-2, 0.5, 3]),), [-1, 0.5, 1], {0: [0, 1, 0]}),
    Row("clamp-nan", lambda x: fnp.clip(x, -1, 1), (f32([NAN]),), [NAN]),
    Row("clamp_min", lambda x: fnp.clip(x, min=0), (f32([-2, 0.5]),), [0, 0.5], {0: [0, 1]}),
    Row("clamp_max", lambda x: fnp.clip(x, max=0), (f32([-2, 0.5]),), [-2, 0], {0: [1, 0]}),
    *points("log1p", fnp.log1p, (0.7, 0.53062825, 0.58823529, -0.34602076)),
    Row("log1p-small", lambda x: fnp.log1p(x) * 1e8, (f32(1e-8),), 1.0),
    *points("expm1", fnp.expm1, (0.7, 1.0137527, 2.0137527)),
    Row("expm1-small", lambda x: fnp.expm1(x) * 1e8, (f32(1e-8),), 1.0),
    *points("log2", fnp.log2, (8, 3, 0.18033688, -0.02254211)),
    *points("log10", fnp.log10, (1000, 3, 4.3429448e-4, -4.3429448e-7)),
    Row("atan2", fnp.arctan2, (f32(1), f32(-1)), 2.3561945, {0: -0.5, 1: -0.5}),
    Row(
        "atan2-quadrants",
        fnp.arctan2,
        (f32([1, 1, -1, -1]), f32([1, -1, 1, -1])),
        [np.pi / 4, 3 * np.pi / 4, -np.pi / 4, -3 * np.pi / 4],
    ),
    Row(
        "maximum",
        fnp.maximum,
        (f32([1, 5, 2]), f32([2, 3, 2])),
        [2, 5, 2],
        {0: [0, 1, 0.5], 1: [1, 0, 0.5]},
    ),
    Row(
        "minimum",
        fnp.minimum,
        (f32([1, 5, 2]), f32([2, 3, 2])),
        [1, 3, 2],
        {0: [1, 0, 0.5], 1: [0, 1, 0.5]},
    ),
    Row("maximum-nan", fnp.maximum, (f32([NAN, 1]), f32([0, NAN])), [NAN, NAN]),
    Row(
        "masked_fill",
        lambda x, v: fnp.where(np.array([False, True, False]), v, x),
        (f32([1, 2, 3]), f32(-9)),
        [1, -9, 3],
        {0: [1, 0, 1], 1: 1},
    ),
    Row("normalize", nn.normalize, (f32([3, 4]),), [0.6, 0.8], {0: [0.128, -0.096]}, f32([1, 0])),
    Row("normalize-zero", nn.normalize, (f32([0, 0]),), [0, 0]),
    Row(
        "cosine_similarity",
        losses.cosine_similarity,
        (f32([1, 0]), f32([1, 1])),
        0.70710678,
        {0: [0, 0.70710678], 1: [0.35355339, -0.35355339]},
    ),
    Row("triu", fnp.triu, (f32([[1, 2], [3, 4]]),), [[1, 2], [0, 4]], {0: [[1, 1], [0, 1]]}),
    Row("tril", fnp.tril, (f32([[1, 2], [3, 4]]),), [[1, 0], [3, 4]], {0: [[1, 0], [1, 1]]}),
    Row("tril-below", lambda x: fnp.tril(x, -1), (f32([[1, 2], [3, 4]]),), [[0, 0], [3, 0]]),
]

REDUCTIONS = [
    Row("sum", fnp.sum, (X,), 24.0, {0: np.ones((2, 3))}),
    Row("sum_dim", lambda x: x.sum(0), (X,), [4, 7, 13]),
    Row("sum_dim-last", lambda x: x.sum(-1), (X,), [7, 17], {0: [[1] * 3, [10] * 3]}, f32([1, 10])),
    Row("sum_dim-tuple", lambda x: x.sum((0, 1), keepdims=True), (X,), [[24]]),
    Row("mean", fnp.mean, (X,), 4.0, {0: np.full((2, 3), 1 / 6)}),
    Row("mean_dim", lambda x: x.mean(1), (X,), [7 / 3, 17 / 3], {0: np.full((2, 3), 1 / 3)}),
    Row("min", fnp.min, (X,), 1.0, {0: [[1, 0, 0], [0, 0, 0]]}),
    Row("min-ties", fnp.min, (f32([1, 1, 2]),), 1.0, {0: [0.5, 0.5, 0]}),
    Row("max", fnp.max, (X,), 9.0, {0: [[0, 0, 0], [0, 0, 1]]}),
    Row("max-ties", fnp.max, (f32([2, 2, 1]),), 2.0, {0: [0.5, 0.5, 0]}),
    Row("max-nan", fnp.max, (f32([2, NAN, 1]),), NAN),
    Row("min_dim", lambda x: (x.min(0), x.argmin(0)), (X,), ([1, 2, 4], [0, 0, 0])),
    Row("max_dim", lambda x: (x.max(1), x.argmax(1)), (X,), ([4, 9], [2, 2])),
    Row("max_dim-vjp", lambda x: x.max(1), (X,), None, {0: [[0, 0, 1], [0, 0, 10]]}, f32([1, 10])),
    Row("var", lambda x: fnp.var(x, ddof=1), (X,), 8.0, {0: [[-1.2, -0.8, 0], [-0.4, 0.4, 2]]}),
    Row("var-biased", fnp.var, (X,), 6.6666667),
    Row("var-two-pass", lambda x: fnp.var(x, ddof=1), (f32([10001, 10002, 10003]),), 1.0),
    Row("std", lambda x: fnp.std(x, ddof=1), (X,), 2.8284271, {0: (X - 4) / (5 * 2.8284271)}),
    Row("var_dim", lambda x: fnp.var(x, 1, ddof=1), (X,), [2.3333333, 9.3333333]),
    Row("std_dim", lambda x: fnp.std(x, 1, ddof=1), (X,), [1.5275252, 3.0550505]),
    Row("prod", fnp.prod, (X,), 1080.0, {0: [[1080, 540, 270], [360, 216, 120]]}),
    Row("prod-zero", fnp.prod, (f32([2, 0, 3]),), 0.0, {0: [0, 6, 0]}),
    Row("prod-zeros", fnp.prod, (f32([0, 0, 3]),), 0.0, {0: [0, 0, 0]}),
    Row("prod_dim", lambda x: x.prod(1), (X,), [8, 135]),
    Row("cumsum", fnp.cumsum, (f32([1, 2, 4]),), [1, 3, 7], {0: [3, 2, 1]}),
    Row("cumsum-reverse", lambda x: lax.cumsum(x, 0, reverse=True), (f32([1, 2, 4]),), [7, 6, 4]),
    Row(
        "logsumexp",
        nn.logsumexp,
        (f32([1, 2, 4]),),
        4.1698460,
        {0: [0.04201007, 0.1141952, 0.84379473]},
    ),
    Row("logsumexp-large", nn.logsumexp, (f32([1000, 1000]),), 1000.6931472),
    Row("logsumexp-masked", nn.logsumexp, (f32([-inf, 0]),), 0.0, {0: [0, 1]}),
]

test_eager, test_jit, test_vmap = in_three_forms(
    Jitted(ARITHMETIC), Jitted(ACTIVATIONS), Jitted(MATH), Jitted(REDUCTIONS)
)


def test_scalars_keep_the_dtype_of_arrays():
    for dtype in (np.float16, np.float32):
        x = fnp.ones(2, dtype)
        assert all(y.dtype == dtype for y in (x * 2.0, x + 2.0, x / 2.0))


def test_half_sums_accumulate_in_single():
    x = fnp.full(4096, 1.0009766, np.float16)
    assert float(x.sum()) == pytest.approx(4096 * 1.0009766, rel=1e-3)


def test_sum_of_ten_million_ones():
    assert float(fnp.ones(10**7).sum()) == 1e7


def test_cumsum_of_a_million():
    assert float(fx.jit(fnp.cumsum)(fnp.ones(10**6))[-1]) == 1e6


def test_matmul_names_both_shapes():
    with pytest.raises(TypeError, match=r"\(2, 3\) and \(2, 3\)"):
        fnp.matmul(fnp.ones((2, 3)), fnp.ones((2, 3)))


def test_negative_zero_keeps_its_sign():
    assert np.signbit(np.asarray(-fnp.array(0.0)))


def test_empty_max_is_an_error():
    with pytest.raises(ValueError, match="no identity"):
        fnp.max(fnp.zeros(0))


def test_std_of_a_constant_has_gradient_nan_as_in_jax():
    assert np.isnan(np.asarray(fx.grad(fnp.std)(fnp.ones(3)))).all()
