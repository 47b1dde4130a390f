"""The commonest mistakes: the error's class, the argument's path, the shapes, the user's line,
advice; nothing launched.

Each case is a program and what its message must contain. All are raised when traced.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import errors, lax

ONES = np.ones((2, 3), np.float32)


def leaked():
    kept = []
    fx.jit(lambda x: kept.append(x) or x)(1.0)
    return kept[0] + 1


def donated():
    x = fnp.ones(3)
    fx.jit(lambda x: x * 2, donate_argnums=0)(x)
    return x + 1


def set_item(x):
    x[0] = 1.0


def custom(fwd, bwd):
    @fx.custom_vjp
    def product(x, y):
        return x * y

    product.defvjp(fwd, bwd)
    return fx.grad(product)(1.0, 2.0)


def custom_forward(rule):
    @fx.custom_jvp
    def same(x):
        return x

    same.defjvp(rule)
    return fx.grad(same)(1.0)


def _closed_over(x):
    @fx.custom_jvp
    def product(y):
        return x * y

    product.defjvp(lambda p, t: (product(p[0]), t[0]))
    return product(3.0)


@dataclasses.dataclass
class _Pair:
    a: float
    b: float


def changing_structure():
    """A body whose output depends on how often it was called."""
    calls = []

    def body(c, x):
        calls.append(x)
        return (c, c) if len(calls) % 2 else c, None

    return lax.scan(body, 1.0, fnp.ones(3))


MISTAKES = {
    "matmul": (lambda: fnp.matmul(ONES, ONES), TypeError, ["(2, 3)", "3", "2"]),
    "broadcast": (
        lambda: fnp.ones((2, 3)) + fnp.ones(4),
        (TypeError, ValueError),
        ["(2, 3)", "(4,)", "in add", "x[:, None]"],
    ),
    "concatenate": (
        lambda: fnp.concatenate([fnp.ones((2, 3)), fnp.ones((2, 4))]),
        (TypeError, ValueError),
        ["(2, 3)", "(2, 4)", "dimension 0", "another axis"],
    ),
    "grad of vector": (
        lambda: fx.grad(fnp.sin)(fnp.ones(3)),
        TypeError,
        ["scalar", "(3,)", "jacrev"],
    ),
    "grad of integer": (
        lambda: fx.grad(lambda n: n * 1.0)(3),
        TypeError,
        ["int32", "allow_int", "n of"],
    ),
    "bool of tracer": (
        lambda: fx.jit(lambda flag: 1 if flag else 0)(True),
        errors.TracerBoolConversionError,
        ["argument flag", "test_errors.py", "where", "static_argnums"],
    ),
    "bool of a traced vector": (
        lambda: fx.jit(lambda x: 1 if x > 0 else 0)(fnp.ones(3)),
        ValueError,
        ["truth value", "more than one element", "any()"],
    ),
    "result of no value": (
        lambda: fx.jit(lambda x: fx.eval_shape(fnp.sin, x))(fnp.ones(3)),
        TypeError,
        ["ShapeDtypeStruct(shape=(3,)", "has no value"],
    ),
    "while on tracer": (
        lambda: fx.jit(lambda x: [x for _ in range(x)])(3),
        errors.TracerIntegerConversionError,
        ["argument x", "Python integer"],
    ),
    "leaked tracer": (leaked, errors.UnexpectedTracerError, ["leaked", "float32[]", "Return it"]),
    "scan carry": (
        lambda: lax.scan(lambda c, x: (fnp.ones(2), None), fnp.zeros(3), fnp.ones(4)),
        TypeError,
        ["carry", "float32[3]", "float32[2]"],
    ),
    "while carry": (
        lambda: lax.while_loop(lambda c: True, lambda c: (c, c), 1.0),
        TypeError,
        ["carry", "body"],
    ),
    "in_axes": (
        lambda: fx.vmap(fnp.add, in_axes=(0, 1))(ONES, ONES[0]),
        ValueError,
        ["axis 1", "(3,)"],
    ),
    "axis out of range": (
        lambda: fnp.sum(fnp.ones(3), axis=1),
        ValueError,
        ["axis 1", "dimension 1", "-1 to 0"],
    ),
    "einsum": (
        lambda: fnp.einsum("ij,jk->ik", ONES, ONES),
        (TypeError, ValueError),
        ["'j'", "(2, 3)"],
    ),
    "list input": (lambda: fnp.sin([1.0, 2.0]), TypeError, ["list"]),
    "item assignment": (lambda: set_item(fnp.ones(3)), TypeError, ["immutable", ".at[idx].set(y)"]),
    "unhashable static": (
        lambda: fx.jit(lambda x, n: x, static_argnums=1)(1.0, [1]),
        ValueError,
        ["Non-hashable", "list", "tuple"],
    ),
    "traced shape": (
        lambda: fx.jit(lambda n: fnp.zeros(n))(3),
        TypeError,
        ["hape", "concrete"],
    ),
    "donated reuse": (donated, RuntimeError, ["deleted", "donate_argnums", "float32[3]"]),
    "cotangent tree": (
        lambda: fx.vjp(lambda x: (x, x), 1.0)[1](1.0),
        ValueError,
        ["tree structure"],
    ),
    "cotangent shape": (
        lambda: fx.vjp(fnp.sin, fnp.ones(3))[1](fnp.ones(2)),
        ValueError,
        ["float32[2]", "float32[3]"],
    ),
    "cond branches": (
        lambda: lax.cond(True, lambda x: x, lambda x: (x, x), 1.0),
        TypeError,
        ["branch"],
    ),
    "boolean mask under jit": (
        lambda: fx.jit(lambda x, mask: x[mask])(fnp.ones(3), fnp.ones(3, bool)),
        errors.NonConcreteBooleanIndexError,
        ["bool[3]"],
    ),
    "numpy of tracer": (
        lambda: fx.jit(lambda x: np.sin(np.asarray(x)))(1.0),
        errors.TracerArrayConversionError,
        ["argument x"],
    ),
    "no key": (lambda: fx.random.normal((3,)), TypeError, ["normal", "tuple", "random.key(seed)"]),
    "seed for a key": (lambda: fx.random.split(7), TypeError, ["split", "int", "random.key(seed)"]),
    "several keys": (
        lambda: fx.random.normal(fx.random.split(fx.random.key(0)), (3,)),
        ValueError,
        ["normal", "(2,)", "vmap"],
    ),
    "missing dict key": (
        lambda: fx.tree.map(fnp.add, {"w": 1.0}, {"b": 1.0}),
        ValueError,
        ["Dict key mismatch", "'w'", "'b'"],
    ),
    "dtype without a kernel": (
        lambda: fx.jit(lambda x: x * 2)(fnp.ones(3, fnp.float8_e3m4)),
        TypeError,
        ["float8_e3m4", "kernel", "outside jit"],
    ),
    "array of objects": (lambda: fnp.array(np.array([None])), TypeError, ["object", "numeric"]),
    "string argument": (
        lambda: fx.jit(lambda name: name)("a"),
        TypeError,
        ["'a'", "builtins.str", "static_argnums"],
    ),
    "branches with other keys": (
        lambda: lax.cond(True, lambda x: {"a": x}, lambda x: {"b": x}, 1.0),
        TypeError,
        ["['a']", "['b']", "true_fun", "test_errors.py"],
    ),
    "changing structure": (changing_structure, TypeError, ["carry", "tuple", "pytree"]),
    "vmap sizes": (
        lambda: fx.vmap(fnp.add)(fnp.ones(3), fnp.ones(4)),
        ValueError,
        ["args[0]", "args[1]", "size 3", "size 4"],
    ),
    "backward rule of one cotangent": (
        lambda: custom(lambda x, y: (x * y, (x, y)), lambda r, ct: (ct * r[1],)),
        TypeError,
        ["product", "tuple of length 2", "length 1"],
    ),
    "backward rule of another shape": (
        lambda: custom(lambda x, y: (x * y, None), lambda r, ct: (fnp.ones(2), ct)),
        ValueError,
        ["product", "float32[]", "args[0]", "float32[2]"],
    ),
    "forward rule of another shape": (
        lambda: custom_forward(lambda primals, tangents: (primals[0], fnp.ones(3))),
        TypeError,
        ["same", "float32[]", "float32[3]"],
    ),
    "forward rule without a pair": (
        lambda: custom_forward(lambda primals, tangents: primals[0]),
        TypeError,
        ["same", "pair", "tangent"],
    ),
    "scan of unequal leaves": (
        lambda: lax.scan(lambda c, x: (c, None), 0.0, {"a": fnp.ones((3, 2)), "b": fnp.ones(4)}),
        ValueError,
        ["xs['a'] of shape (3, 2)", "xs['b'] of shape (4,)"],
    ),
    "scan of a wrong length": (
        lambda: lax.scan(lambda c, x: (c, None), 0.0, fnp.ones(3), length=4),
        ValueError,
        ["length", "4", "xs of shape (3,)"],
    ),
    "scan of a scalar": (
        lambda: lax.scan(lambda c, x: (c, None), 0.0, [fnp.ones(3), 1.0]),
        ValueError,
        ["no leading axis", "xs[1] of shape ()"],
    ),
    "convolution channels": (
        lambda: lax.conv(np.ones((1, 3, 8, 8)), np.ones((4, 2, 3, 3)), (1, 1), "SAME"),
        ValueError,
        ["3 // 1 != 2", "(1, 3, 8, 8)", "(4, 2, 3, 3)", "feature_group_count"],
    ),
    "convolution strides": (
        lambda: lax.conv(np.ones((1, 3, 8, 8)), np.ones((4, 3, 3, 3)), (1,), "SAME"),
        ValueError,
        ["window_strides", "2 and 1"],
    ),
    "pads": (
        lambda: lax.pad(np.ones(3), 0.0, [(1, 1, -1)]),
        ValueError,
        ["interior padding", "(1, 1, -1)"],
    ),
    "traced vectors as ranges": (
        lambda: fx.jit(lambda x: fnp.arange(0, x))(np.ones(3)),
        fx.errors.ConcretizationTypeError,
        ["argument stop", "arange", "float32[3]"],
    ),
    "elements of nothing": (
        lambda: fnp.take(np.ones((2, 0)), 1, axis=1),
        IndexError,
        ["empty axis", "axis 1", "(2, 0)"],
    ),
    "batches of a map": (
        lambda: lax.map(lambda x: x, np.ones(3), batch_size=-2),
        ValueError,
        ["batch_size", "-2"],
    ),
    "policies of checkpoint": (
        lambda: fx.checkpoint(lambda x: x, policy=3),
        TypeError,
        ["policy", "dots_saveable", "3"],
    ),
    "static arguments of checkpoint": (
        lambda: fx.checkpoint(lambda x: x, static_argnums=4)(1.0),
        ValueError,
        ["static_argnums", "(4,)", "len(args)` = 1"],
    ),
    "closures of custom rules": (
        lambda: fx.grad(_closed_over)(2.0),
        fx.errors.UnexpectedTracerError,
        ["'mul'", "custom derivative rules", "make it an argument"],
    ),
    "no strides of convolutions": (
        lambda: lax.conv(np.ones((1, 2, 3, 3)), np.ones((1, 2, 3, 3)), (0, 1), "SAME"),
        TypeError,
        ["window_strides", "positive", "(0, 1)"],
    ),
    "padding that takes away too much": (
        lambda: lax.conv_general_dilated(np.ones((1, 1, 3)), np.ones((1, 1, 1)), (1,), ((-2, -2),)),
        ValueError,
        ["conv_general_dilated", "(-2, -2)", "takes away more than there is", "(3,)"],
    ),
    "no dilation of convolutions": (
        lambda: lax.conv_general_dilated(
            np.ones((1, 2, 3)), np.ones((1, 2, 3)), (1,), "VALID", rhs_dilation=(0,)
        ),
        TypeError,
        ["rhs_dilation", "positive", "(0,)"],
    ),
    "no strides of windows": (
        lambda: lax.reduce_window(np.ones(3), 0.0, lax.add, (2,), (0,), "SAME"),
        TypeError,
        ["window_strides", "positive", "(0,)"],
    ),
    "initial values of folds": (
        lambda: lax.reduce(np.ones(3), np.ones(3), lax.add, (0,)),
        TypeError,
        ["scalars", "(3,)"],
    ),
    "powers that are no integers": (
        lambda: lax.integer_pow(np.ones(3), 1.5),
        TypeError,
        ["float", "integer"],
    ),
    "blocks of unequal depth": (
        lambda: fnp.block([[np.ones(3)], np.ones(3)]),
        ValueError,
        ["list depths", "[0, 1]"],
    ),
    "fields in both lists": (
        lambda: fx.tree_util.register_dataclass(_Pair, ["a"], ["a", "b"]),
        ValueError,
        ["must not overlap", "'a'"],
    ),
    "bits of booleans": (
        lambda: lax.bitcast_convert_type(np.ones(3, np.uint8), bool),
        TypeError,
        ["bool or complex", "uint8"],
    ),
    "pads that cut more": (
        lambda: lax.pad(np.ones(3), 0.0, [(-4, 0, 0)]),
        ValueError,
        ["Dimension size after padding", "(-1,)", "(3,)"],
    ),
    "negative pads": (lambda: fnp.pad(np.ones(3), -1), ValueError, ["pad_width", "slice"]),
    "keys of a negative number": (
        lambda: fx.random.split(fx.random.key(0), -1),
        ValueError,
        ["non-negative", "(-1,)"],
    ),
    "samples of a negative shape": (
        lambda: fx.random.normal(fx.random.key(0), (2, -1)),
        ValueError,
        ["non-negative", "(2, -1)"],
    ),
    "integer probability": (
        lambda: fx.random.bernoulli(fx.random.key(0), 1),
        TypeError,
        ["bernoulli", "floating", "int32"],
    ),
    "axes of a leaf": (
        lambda: fx.vmap(lambda x: x, out_axes=(0, 0))(np.ones(3)),
        ValueError,
        ["out_axes", "a tuple", "a leaf"],
    ),
    "axis of classes": (
        lambda: fx.random.categorical(fx.random.key(0), np.ones(3), axis=2),
        ValueError,
        ["axis 2", "dimension 1"],
    ),
    "an array as a dtype": (
        lambda: fnp.zeros(2, np.ones(3)),
        ValueError,
        ["array as a dtype", "(zeros)", "arr.dtype"],
    ),
    "a number as an operator": (
        lambda: fx.scipy.sparse.linalg.cg(3.0, fnp.ones(2)),
        TypeError,
        ["function or an array", "3.0"],
    ),
    "an operator of two results": (
        lambda: fx.scipy.sparse.linalg.cg(lambda x: (x, x), fnp.ones(2)),
        ValueError,
        ["output shapes must match", "[(2,), (2,)]"],
    ),
    "fractional repeats": (lambda: fnp.repeat(np.ones(3), 1.5), TypeError, ["repeat", "1.5"]),
    "negative repeats": (lambda: fnp.repeat(np.ones(3), -1), TypeError, ["repeat", "-1"]),
    "fractional triangle": (lambda: fnp.tri(2.5), TypeError, ["integer", "2.5"]),
    "fractional classes": (lambda: fx.nn.one_hot(np.ones(3), 2.5), TypeError, ["integer"]),
    "kind of sort": (lambda: fnp.sort(np.ones(3), kind="heap"), TypeError, ["kind", "stable"]),
    "no such output type": (
        lambda: fx.jit(lambda x: {"a": "text"})(1.0),
        TypeError,
        ["['a']", "str"],
    ),
}
NAMES = [
    pytest.param(name, marks=pytest.mark.driver) if name == "dtype without a kernel" else name
    for name in MISTAKES
]


@pytest.mark.parametrize("name", NAMES)
def test_message(name):
    program, kind, words = MISTAKES[name]
    before = fx.counters().launches
    with pytest.raises(kind) as caught:
        program()
    text = str(caught.value)
    assert [w for w in words if w not in text] == [], text
    if name != "donated reuse":
        assert (
            fx.counters().launches - before <= 1
        )  # eager neighbours may launch, the mistake does not


def test_errors_are_quick_and_allocate_nothing():
    """M30: a mismatch of a gigabyte is found without the gigabyte."""
    big = fx.ShapeDtypeStruct((1 << 14, 1 << 14), np.float32)
    before = fx.counters()
    with pytest.raises(TypeError):
        fx.eval_shape(lambda x: x @ fnp.ones(3), big)
    assert (fx.counters() - before).live_bytes == 0


def test_class_tree_follows_jax():
    assert issubclass(errors.TracerBoolConversionError, errors.ConcretizationTypeError)
    assert issubclass(errors.ConcretizationTypeError, TypeError)
    with pytest.raises(errors.ConcretizationTypeError):
        fx.jit(lambda n: fnp.linspace(0, 1, n))(3)
    assert issubclass(errors.UnexpectedTracerError, RuntimeError)
    assert issubclass(errors.NonConcreteBooleanIndexError, IndexError)
    for name in ("JAXTypeError", "JAXIndexError", "JaxRuntimeError", "KeyReuseError"):
        assert hasattr(errors, name)
