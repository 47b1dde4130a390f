"""What was made of a caller's NumPy array stays as it was when the caller writes to it later."""

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax

KEPT = {
    "array": fnp.array,
    "array copy=False": lambda x: fnp.array(x, copy=False),
    "asarray": fnp.asarray,
    "asarray copy=False": lambda x: fnp.asarray(x, copy=False),
    "astype": lambda x: fnp.astype(x, fnp.float32),
    "atleast_2d": fnp.atleast_2d,
    "bitcast": lambda x: lax.bitcast_convert_type(x, np.int32),
    "broadcast_arrays": lambda x: fnp.broadcast_arrays(x, fnp.zeros(())),
    "broadcast_to": lambda x: fnp.broadcast_to(x, (2, *x.shape)),
    "checkpoint": lambda x: fx.checkpoint(lambda v: fnp.reshape(v, (2, -1)))(x),
    "clip": fnp.clip,
    "concatenate": lambda x: fnp.concatenate([x]),
    "cond": lambda x: lax.cond(True, lambda v: v, lambda v: v + 1, x),
    "convert_element_type": lambda x: lax.convert_element_type(x, np.float32),
    "device_put": fx.device_put,
    "frombuffer": lambda x: fnp.frombuffer(x, np.float32),
    "index": lambda x: fnp.asarray(x)[2:],
    "jit": fx.jit(lambda x: fnp.reshape(x, (2, -1))),
    "lax.slice": lambda x: lax.slice(x, (0,), (8,)),
    "positive": fnp.positive,
    "real": lambda x: fnp.real(x.view(np.complex64)),
    "reshape": lambda x: fnp.reshape(x, (4, -1)),
    "scan": lambda x: lax.scan(lambda c, y: (c, y), x, np.arange(3.0)),
    "split": lambda x: fnp.split(x, 2),
    "transpose": fnp.transpose,
    "while_loop": lambda x: lax.while_loop(lambda v: False, lambda v: v, x),
}


@pytest.mark.parametrize("name", KEPT)
def test_values_are_kept(name):
    x = np.arange(16, dtype=np.float32)
    made = fx.tree_util.tree_leaves(KEPT[name](x))
    before = [np.array(a) for a in made]
    x[:] = -7
    for a, b in zip(made, before, strict=True):
        np.testing.assert_array_equal(a, b)


RESIDUALS = {
    "square": (lambda v: v * v, lambda x: 2 * x),
    "product": (lambda v: fnp.dot(v, v), lambda x: 2 * x),
    "sine": (fnp.sin, np.cos),
    "checkpoint": (fx.checkpoint(lambda v: fnp.sin(v) * v), lambda x: np.cos(x) * x + np.sin(x)),
    "jit": (fx.jit(lambda v: v * v), lambda x: 2 * x),
}


@pytest.mark.parametrize("name", RESIDUALS)
def test_residuals_are_kept(name):
    function, derivative = RESIDUALS[name]
    x = np.arange(4, dtype=np.float32)
    expected = derivative(x)
    y, pull = fx.vjp(function, x)
    _, push = fx.linearize(function, x)
    x[:] = -7
    np.testing.assert_allclose(pull(fnp.ones_like(y))[0], expected, rtol=1e-6)
    np.testing.assert_allclose(np.sum(push(fnp.ones(4))), np.sum(expected), rtol=1e-6)


def test_a_captured_array_is_kept_in_residuals():
    x = np.arange(4, dtype=np.float32)
    _, pull = fx.vjp(lambda v: v * x, fnp.ones(4))
    x[:] = -7
    np.testing.assert_array_equal(pull(fnp.ones(4))[0], np.arange(4))


def test_what_a_callback_writes_to_later_is_kept():
    buffer = np.zeros(4, np.float32)

    def fill(x):
        buffer[:] = x
        return buffer

    shape = fx.ShapeDtypeStruct((4,), np.float32)
    call = fx.jit(lambda x: (fx.pure_callback(fill, shape, x), fx.pure_callback(fill, shape, -x)))
    first, second = call(fnp.ones(4))
    call(fnp.zeros(4))
    np.testing.assert_array_equal(first, np.ones(4))
    np.testing.assert_array_equal(second, -np.ones(4))
