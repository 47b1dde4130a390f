"""Random numbers against literals from JAX 0.10: bits exactly, transformed values to float
rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as jnp
import fx.random as R
from fx import lax

k = R.key(42)
a = jnp.array([0.3, 1.0, 2.5, 30.0])

LITERALS: dict[str, Any] = {
    "split": (lambda: R.key_data(R.split(k, 2)), [[1832780943, 270669613], [64467757, 2916123636]]),
    "fold_in": (lambda: R.key_data(R.fold_in(k, 77)), [3343870397, 3703666311]),
    "bits": (lambda: R.bits(k, (3,)), [2098992034, 2919706841, 2646866425]),
    "bits8": (lambda: R.bits(k, (4,), "uint8"), [162, 217, 249, 215]),
    "uniform": (lambda: R.uniform(k, (4,)), [0.48870957, 0.6797972, 0.6162715, 0.5610161]),
    "uniform16": (
        lambda: R.uniform(k, (4,), "float16"),
        [0.076171875, 0.19042969, 0.97558594, 0.75683594],
    ),
    "uniform_range": (
        lambda: R.uniform(k, (3,), minval=-2.0, maxval=5.0),
        [1.420967, 2.7585802, 2.3139005],
    ),
    "normal": (lambda: R.normal(k, (4,)), [-0.028304616, 0.46713185, 0.29570296, 0.15354592]),
    "randint": (lambda: R.randint(k, (6,), 0, 100), [44, 14, 71, 69, 9, 19]),
    "randint8": (lambda: R.randint(k, (5,), 0, 256, "uint8"), [196, 18, 183, 193, 141]),
    "randint_wide": (
        lambda: R.randint(k, (3,), -(2**31), 2**31 - 1),
        [977810628, 1236381714, -1367112521],
    ),
    "permutation": (lambda: R.permutation(k, 10), [7, 4, 2, 5, 3, 6, 8, 9, 0, 1]),
    "choice": (lambda: R.choice(k, 10, (6,)), [4, 4, 1, 9, 9, 9]),
    "choice_p": (
        lambda: R.choice(k, 4, (8,), p=jnp.array([0.1, 0.2, 0.3, 0.4])),
        [2, 2, 2, 2, 2, 2, 3, 1],
    ),
    "choice_once": (lambda: R.choice(k, 8, (5,), replace=False), [7, 4, 2, 5, 3]),
    "bernoulli": (lambda: R.bernoulli(k, 0.3, (6,)), [False, False, False, False, False, False]),
    "truncated_normal": (
        lambda: R.truncated_normal(k, -1.0, 2.0, (3,)),
        [0.14770006, 0.5684449, 0.4210255],
    ),
    "categorical": (
        lambda: R.categorical(k, jnp.array([0.1, 2.0, -1.0]), shape=(8,)),
        [1, 1, 1, 1, 1, 1, 1, 1],
    ),
    "gumbel": (lambda: R.gumbel(k, (3,)), [0.3340934, 0.95201945, 0.72553056]),
    "gumbel_highest": (
        lambda: R.gumbel(k, (3,), mode="highest"),
        [0.3992578, -0.12997583, 0.0430951],
    ),
    "exponential": (lambda: R.exponential(k, (3,)), [0.6708175, 1.1388006, 0.95782]),
    "laplace": (lambda: R.laplace(k, (3,)), [0.022839652, -0.44565356, -0.2646729]),
    "logistic": (lambda: R.logistic(k, (3,)), [-0.045169413, 0.7528398, 0.47375232]),
    "cauchy": (lambda: R.cauchy(k, (3,)), [-0.03548463, 0.6337261, 0.38244057]),
    "rademacher": (lambda: R.rademacher(k, (6,)), [1, -1, -1, -1, 1, -1]),
    "maxwell": (lambda: R.maxwell(k, (3,)), [0.5535825, 0.29328507, 1.708603]),
    "gamma": (lambda: R.gamma(k, a), [0.43624744, 0.33158407, 4.1941113, 27.260042]),
    "loggamma": (lambda: R.loggamma(k, a), [-0.8295456, -1.1038738, 1.4336815, 3.3054218]),
    "beta": (lambda: R.beta(k, a, 2.0), [0.15331332, 0.084156655, 0.8057518, 0.9834077]),
    "dirichlet": (lambda: R.dirichlet(k, a), [0.013538817, 0.010290619, 0.13016306, 0.8460075]),
    "poisson": (lambda: R.poisson(k, jnp.array([0.5, 3.0, 12.0, 100.0])), [1, 2, 8, 93]),
    "binomial": (
        lambda: R.binomial(k, jnp.array([5.0, 100.0, 1000.0]), jnp.array([0.3, 0.5, 0.9])),
        [1.0, 45.0, 910.0],
    ),
    "multinomial": (
        lambda: R.multinomial(k, jnp.float32(50), jnp.array([0.2, 0.3, 0.5])),
        [13.0, 16.0, 21.0],
    ),
    "geometric": (lambda: R.geometric(k, jnp.array([0.1, 0.5, 0.9])), [7, 1, 1]),
    "t": (lambda: R.t(k, a), [1.692692, -31.686203, 2.6065397, 0.6183953]),
    "chisquare": (lambda: R.chisquare(k, a), [0.13176222, 1.0126549, 4.803852, 25.988972]),
    "f": (lambda: R.f(k, a, 3.0, (4,)), [0.002191068, 0.0024225195, 0.1878597, 0.5389903]),
    "pareto": (lambda: R.pareto(k, a), [9.356378, 3.1230204, 1.4668658, 1.0278231]),
    "rayleigh": (lambda: R.rayleigh(k, a), [0.35899535, 0.8785907, 2.4598467, 32.25539]),
    "wald": (lambda: R.wald(k, a), [0.31273794, 1.61878, 0.41697764, 3.0000372]),
    "lognormal": (lambda: R.lognormal(k, a), [0.99154454, 1.5954118, 2.0943797, 100.12082]),
    "weibull_min": (lambda: R.weibull_min(k, 2.0, 1.5, (3,)), [1.5326145, 2.1810308, 1.943357]),
    "triangular": (
        lambda: R.triangular(k, -1.0, 0.5, 2.0, (3,)),
        [0.48296762, 0.7996198, 0.6859306],
    ),
    "orthogonal": (lambda: R.orthogonal(k, 2), [-0.09528422, 0.9954501, 0.9954501, 0.09528428]),
    "ball": (lambda: R.ball(k, 3, 1.5), [0.34366795, 0.05199319, 0.017910156]),
    "generalized_normal": (
        lambda: R.generalized_normal(k, 1.5, (3,)),
        [-0.87823755, -0.20616245, 1.160471],
    ),
    "double_sided_maxwell": (
        lambda: R.double_sided_maxwell(k, 1.0, 2.0, (3,)),
        [-1.7620435, -0.35137796, 5.4440427],
    ),
    "multivariate_normal": (
        lambda: R.multivariate_normal(k, jnp.arange(2.0), jnp.array([[2.0, 0.5], [0.5, 1.0]])),
        [-0.04002877, 1.4269546],
    ),
    "raw_split": (
        lambda: R.split(R.PRNGKey(5)),
        [[2724472204, 3573582090], [202567368, 3886822060]],
    ),
    "raw_normal": (lambda: R.normal(R.PRNGKey(5), (2,)), [-0.084373064, 1.4110229]),
}


@pytest.mark.parametrize("name", LITERALS)
def test_literal(name: str) -> None:
    """Eager, jitted and vmapped calls give JAX's numbers."""
    sample, expected = LITERALS[name]
    found = np.asarray(sample())
    wanted = np.asarray(expected).reshape(found.shape)
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, wanted)
    else:
        rtol = 2e-3 if found.dtype.itemsize == 2 else 2e-5
        np.testing.assert_allclose(found.astype(np.float64), wanted, rtol, 1e-6)


NORMALS = {  # of key 42, and the smallest of key 3's first 2^16
    "float32": ((-0.02830461598932743, 0.4671318531036377, 0.2957029640674591), -4.94159460067749),
    "float16": ((-1.4296875, -0.87548828125, 1.974609375, 0.69677734375), -3.486328125),
    "bfloat16": ((0.34375, 1.015625, 1.890625, 0.984375, -1.40625), -2.890625),
    "float64": ((-0.18471174528191162, -2.169824560397754), -4.071973518948189),
}


def test_bits_are_64_in_x64_mode() -> None:
    with fx.enable_x64():
        assert R.bits(R.key(0)) == R.bits(R.key(0), dtype="uint64") == 7719171245655871230
    assert R.bits(R.key(0)) == 4070199207


@pytest.mark.parametrize("jit", (False, True), ids=("eager", "jit"))
@pytest.mark.parametrize("dtype", NORMALS)
def test_normals_are_jax_s_to_three_units(dtype: str, jit: bool) -> None:
    """Narrow floats are rounded at each step, fused or not, and are the same numbers."""
    first, smallest = NORMALS[dtype]
    wrap = fx.jit if jit else lambda f: f
    with fx.enable_x64(dtype == "float64"):
        found = np.asarray(wrap(lambda: R.normal(R.key(42), (len(first),), dtype))())
        least = np.asarray(wrap(lambda: R.normal(R.key(3), (1 << 16,), dtype).min())())
    found = np.append(found, least)
    expected = np.array([*first, smallest]).astype(found.dtype)
    if found.dtype.itemsize == 2:
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_array_max_ulp(found, expected, 3)


JITTED = {
    "uniform": lambda k: R.uniform(k, (4,)),
    "normal": lambda k: R.normal(k, (2, 3)),
    "randint": lambda k: R.randint(k, (6,), 0, 100),
    "permutation": lambda k: R.permutation(k, 10),
    "split": lambda k: R.key_data(R.split(k, 3)),
    "fold_in": lambda k: R.key_data(R.fold_in(k, 5)),
    "categorical": lambda k: R.categorical(k, jnp.array([0.1, 2.0, -1.0]), shape=(8,)),
    "gamma": lambda k: R.gamma(k, 2.5, (3,)),
    "poisson": lambda k: R.poisson(k, 3.0, (4,)),
}


@pytest.mark.lowering
@pytest.mark.parametrize("name", JITTED)
def test_jit_and_vmap(name: str) -> None:
    """The same numbers inside jit, and for each key of a vmapped batch."""
    f = JITTED[name]
    np.testing.assert_allclose(fx.jit(f)(k), f(k), 1e-5, 1e-6)
    keys = R.split(k, 3)
    batched = fx.vmap(f)(keys)
    for i in range(3):
        np.testing.assert_allclose(batched[i], f(keys[i]), 1e-5, 1e-6)


def test_floats_that_count_are_permuted_under_jit() -> None:
    key = R.key(5)
    for draw in (
        lambda k: R.permutation(k, jnp.arange(9.0)),
        lambda k: R.choice(k, jnp.arange(4.0), (2, 2), replace=False),
    ):
        np.testing.assert_array_equal(fx.jit(draw)(key), draw(key))


def test_one_integer_is_a_shape() -> None:
    key = R.key(3)
    for sample in (R.normal, R.bits, R.gumbel, R.rademacher):
        np.testing.assert_array_equal(sample(key, 3), sample(key, (3,)))
    np.testing.assert_array_equal(R.gamma(key, 2.0, 3), R.gamma(key, 2.0, (3,)))


def test_keys_are_arrays() -> None:
    """Typed keys index, stack, select, and go through scan and cond."""
    keys = R.split(k, 4)
    assert keys.shape == (4,) and fx.dtypes.issubdtype(keys.dtype, fx.dtypes.prng_key)
    words = np.asarray(R.key_data(keys))
    np.testing.assert_array_equal(R.key_data(keys[jnp.array([2, 0])]), words[[2, 0]])
    np.testing.assert_array_equal(R.key_data(jnp.stack([keys[1], keys[3]])), words[[1, 3]])
    chosen = jnp.where(jnp.array([True, False, True, False]), keys, keys[::-1])
    np.testing.assert_array_equal(R.key_data(chosen), words[[0, 2, 2, 0]])
    picked = lax.cond(True, lambda q: q[0], lambda q: q[1], keys)
    np.testing.assert_array_equal(R.key_data(picked), words[0])

    def step(key: Any, _: Any) -> Any:
        key, sub = R.split(key)
        return key, R.normal(sub, (2,))

    eager = lax.scan(step, k, None, length=3)[1]
    np.testing.assert_allclose(eager[0], R.normal(R.split(k)[1], (2,)), 1e-6)
    np.testing.assert_allclose(
        fx.jit(lambda q: lax.scan(step, q, None, length=3)[1])(k), eager, 1e-5
    )


def test_derivative_of_gamma() -> None:
    """The implicit derivative of a gamma sample by its shape parameter, from JAX."""
    found = fx.grad(lambda v: R.gamma(k, v).sum())(a)
    np.testing.assert_allclose(found, [1.8602114, 0.6333831, 1.3690077, 0.9581851], 1e-4)
    found = fx.grad(lambda v: R.loggamma(k, v).sum())(a)
    np.testing.assert_allclose(found, [4.26412, 1.9101735, 0.32641187, 0.03514983], 1e-4)


def test_moments() -> None:
    """A million normals have the moments of the normal distribution."""
    x = np.asarray(R.normal(R.key(1), (1_000_000,)), np.float64)
    assert abs(x.mean()) < 4e-3 and abs(x.var() - 1) < 8e-3 and abs((x**4).mean() - 3) < 0.05


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: R.normal(R.split(k)), ValueError, "accepts a single key"),
        (lambda: R.normal(3), TypeError, "unexpected PRNG key type"),
        (lambda: R.key(1.5), TypeError, "seed must be an integer"),
        (lambda: R.key(jnp.arange(3)), TypeError, "scalar seed"),
        (lambda: R.key(0, impl="mersenne"), ValueError, "unrecognized PRNG implementation"),
        (lambda: R.uniform(k, (2,), "int32"), ValueError, "must be a float dtype"),
        (lambda: R.gamma(k, a, (3,)), ValueError, "broadcast"),
        (lambda: R.choice(k, 3, (4,), replace=False), ValueError, "Cannot take a larger sample"),
        (lambda: R.choice(k, jnp.ones((2, 3)), axis=2), ValueError, "axis 2 is out of bounds"),
        (lambda: R.permutation(k, a, axis=1), ValueError, "axis 1 is out of bounds"),
        (lambda: R.shuffle(k, a, -2), ValueError, "axis -2 is out of bounds"),
        (lambda: R.normal(k, 3.0), TypeError, "Shapes must be 1D"),
        (lambda: R.bernoulli(k, 0.5, mode="middle"), ValueError, "mode"),
    ],
)
def test_errors(call: Any, error: type, text: str) -> None:
    """Bad keys, dtypes and shapes say what is wrong."""
    with pytest.raises(error, match=text):
        call()


def test_bounds_of_a_uniform_sample_may_have_axes_of_size_one_before_it():
    key = R.key(0)
    for shape, low, high in [((), (), (1,)), ((4,), (1, 1, 4), (1, 1)), ((2, 3), (1, 2, 1), (3,))]:
        lows, highs = np.zeros(low, np.float32), np.full(high, 5, np.float32)
        found = R.uniform(key, shape, minval=lows, maxval=highs)
        np.testing.assert_array_equal(found, R.uniform(key, shape, maxval=5.0))
    with pytest.raises(ValueError, match="broadcast-compatible"):
        R.uniform(key, (4,), maxval=np.ones((2, 4)))


def test_a_number_is_the_size_of_one_axis():
    key = R.key(0)
    for draw in (R.normal, R.uniform, R.bits, R.gumbel, lambda k, s: R.gamma(k, 2.0, s)):
        np.testing.assert_array_equal(draw(key, 4), draw(key, (4,)))
    assert R.dirichlet(key, jnp.ones(3), 4).shape == (4, 3)
    with pytest.raises(TypeError, match="Shapes must be 1D"):
        R.normal(key, 4.0)


def test_keys_are_no_numbers(capsys):
    k = R.split(R.key(0), 3)
    readings = (np.asarray, lambda k: k.tolist(), lambda k: k[0].item(), lambda k: float(k[0]))
    for read in (*readings, lambda k: bool(k[0])):
        with pytest.raises(TypeError, match="key_data"):
            read(k)
    with pytest.raises(TypeError, match="key<fry>"):
        lax.add(1.0, k)
    assert fx.device_get({"key": k})["key"] is k
    fx.debug.print("{}", k[0])
    assert "key<fry>" in capsys.readouterr().out


def test_keys_are_close_where_they_are_equal():
    keys = R.split(R.key(0), 3)
    assert jnp.isclose(keys, keys[::-1]).tolist() == [False, True, False]
    assert jnp.allclose(keys, keys)


def test_seeds_may_be_booleans():
    assert R.key_data(R.key(True)).tolist() == R.PRNGKey(1).tolist()
