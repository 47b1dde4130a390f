"""Floats of 8 bits in kernels: read and written as NumPy converts them, float32 in between."""

import ml_dtypes
import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax

KINDS = [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2]
_SCALES = np.array([[1e-6], [1e-4], [1e-2], [1], [30], [300], [2e4]])
_NORMAL = (np.random.default_rng(0).normal(size=(7, 500)) * _SCALES).ravel()
_EDGES = [0, -0.0, np.inf, -np.inf, np.nan, 448, 464, 464.001, 480, 57344, 61439.9, 61440]
_TINY = [2**-9, 2**-10, 2**-10 * 1.001, 2**-16, 2**-17, 1.5 * 2**-9, 2.5 * 2**-9]
X = np.concatenate([_NORMAL, _EDGES, _TINY]).astype(np.float32)


def bits(x):
    return np.asarray(x).view(np.uint8)


@pytest.mark.parametrize("dtype", KINDS)
def test_all_of_them_are_read_exactly(dtype):
    every = np.arange(256, dtype=np.uint8).view(dtype)
    wide = np.asarray(fx.jit(lambda x: x.astype(np.float32))(every))
    np.testing.assert_array_equal(wide, every.astype(np.float32))
    real = ~np.isnan(wide)
    assert (np.signbit(wide) == np.signbit(every.astype(np.float32)))[real].all()


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("size", [X.size, 7, 1])
def test_they_are_written_to_nearest_even(dtype, size):
    x = X[-size:]
    np.testing.assert_array_equal(bits(fx.jit(lambda v: v.astype(dtype))(x)), bits(x.astype(dtype)))


@pytest.mark.parametrize("dtype", KINDS)
def test_rounding_there_and_back_is_fused_and_its_gradient_passes(dtype):
    def f(x):
        return (x.astype(dtype).astype(np.float32) ** 2).sum()

    x = jnp.asarray(X[2000:2010])
    rounded = np.asarray(x).astype(dtype).astype(np.float32)
    np.testing.assert_allclose(fx.jit(f)(x), (rounded**2).sum(), rtol=1e-6)
    expected = (2 * rounded).astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(fx.jit(fx.grad(f))(x), expected)


_PROGRAMS = {
    "views": lambda x: x[::-1, 2:].T.reshape(-1)[:5],
    "where": lambda x: jnp.where(x > 0, x, -x),
    "rows": lambda x: x[jnp.array([1, 5])],
    "pad": lambda x: jnp.pad(x, 1),
    "joined": lambda x: jnp.concatenate([x, x]),
    "product": lambda x: x @ x,
    "wide product": lambda x: lax.dot(x, x, preferred_element_type=np.float32),
    "square": lambda x: x * x,
    "max": jnp.max,
    "min": lambda x: jnp.min(x, 1),
    "sum": lambda x: jnp.sum(x.astype(np.float32)),
    "argmax": lambda x: jnp.argmax(x, 1),
    "bits": lambda x: lax.bitcast_convert_type(x, np.uint8),
    "integers": lambda x: (x * 8).astype(np.int32),
    "from integers": lambda x: jnp.arange(-9, 9).astype(x.dtype),
    "sorted": lambda x: jnp.sort(x, 1),
    "updated": lambda x: x.at[2, 3].set(x[0, 0]),
    "loop": lambda x: lax.fori_loop(0, 3, lambda i, y: y[::-1], x),
}


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("name", _PROGRAMS)
def test_jit_gives_what_eager_code_gives(dtype, name):
    x = jnp.asarray(X[1500:1564].reshape(8, 8)).astype(dtype)
    eager, jitted = _PROGRAMS[name](x), fx.jit(_PROGRAMS[name])(x)
    assert eager.dtype == jitted.dtype
    np.testing.assert_array_equal(np.asarray(jitted, np.float32), np.asarray(eager, np.float32))


def test_a_scaled_layer_of_8_bits_trains():
    def quantized(x, dtype):
        scale = jnp.max(jnp.abs(x)) / float(jnp.finfo(dtype).max)
        return (x / scale).astype(dtype), scale

    def loss(w, x):
        (qx, sx), (qw, sw) = quantized(x, KINDS[0]), quantized(w, KINDS[0])
        y = lax.dot(qx, qw, preferred_element_type=np.float32) * sx * sw
        return ((y - x) ** 2).mean()

    x = jnp.asarray(_NORMAL[1500:1628].reshape(16, 8).astype(np.float32))
    w = jnp.eye(8) * 0.5
    step = fx.jit(fx.value_and_grad(loss))
    losses = []
    for _ in range(20):
        value, g = step(w, x)
        w = w - 0.5 * g
        losses.append(float(value))
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.driver
def test_what_has_no_form_says_so():
    x = jnp.ones(3, KINDS[0])
    with pytest.raises(TypeError, match="nextafter of float8_e4m3fn"):
        fx.jit(lax.nextafter)(x, x)
    with pytest.raises(TypeError, match="float8_e4m3b11fnuz has no form in a kernel"):
        fx.jit(lambda v: v.astype(jnp.float8_e4m3b11fnuz))(x)
