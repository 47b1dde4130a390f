"""What is easy to miss: weak types, 32-bit defaults, lists refused, sizes under jit, promotion
modes, the fast path.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import core, dtypes, errors, lax
from fx.config import enable_x64
from fx.numpy import fast

# ---------------------------------------------------------------- dtypes


def test_counts_are_64_bits_wide_in_x64_mode():
    with fx.enable_x64():
        assert fnp.bincount(fnp.array([1, 2])).dtype == np.int64


@pytest.mark.parametrize("dtype", ("bool", "uint8", "int32", "float32"))
@pytest.mark.parametrize("name", ("isfinite", "isinf", "isnan", "isneginf", "isposinf", "signbit"))
def test_questions_of_one_number_are_answered_by_an_array(name, dtype):
    assert isinstance(getattr(fnp, name)(fnp.asarray(1, dtype)), fx.Array)


@pytest.mark.parametrize(
    ("value", "dtype", "weak"),
    [
        (fnp.asarray(2.0), "float32", True),
        (fnp.array(3), "int32", True),
        (fnp.array([1, 2.0]), "float32", False),
        (fnp.array(True), "bool", False),
        (fnp.array([fnp.array(1), 2.0]), "float32", False),
        (fnp.array([fnp.asarray(0.5), 2]), "float32", False),
        (fnp.array(np.float64(1)), "float32", False),
        (fnp.sum(fnp.asarray(2.0)), "float32", False),
        (fnp.sin(fnp.asarray(1)), "float32", True),
        (fnp.arange(3), "int32", False),
        (fnp.full(2, 1.0), "float32", True),
        (fnp.where(True, 1, 2.0), "float32", True),
        (fnp.array([1], np.int8) + 1, "int8", False),
        (fnp.array([1], np.int8) + 1.5, "float32", True),
        (fnp.ones(1, np.float16) * 2.5, "float16", False),
        (fnp.ones(1, np.float16) + fnp.ones(1, fnp.bfloat16), "float32", False),
        (fnp.uint32(1) + fnp.int32(1), "int32", False),
        (fnp.ones(1, np.int32) / 2, "float32", False),
        (fnp.ones(1, bool) + fnp.ones(1, bool), "bool", False),
        (fnp.sum(fnp.ones(2, np.int8)), "int32", False),
        (fnp.sum(fnp.ones(2, np.uint8)), "uint32", False),
        (fnp.cumsum(fnp.ones(2, np.int8)), "int8", False),
        (fnp.mean(fnp.ones(2, np.float16)), "float16", False),
        (fnp.abs(fnp.ones(1, np.complex64)), "float32", False),
        (fnp.isin(3, fnp.zeros(0)), "bool", False),
        (fnp.heaviside(2.5, True), "float32", True),
        (fnp.heaviside(2.5, fnp.ones(1, np.float16)), "float16", False),
        (fnp.logaddexp2(1, 2.5), "float32", True),
        (fnp.hypot(np.array([1, 2]), 0.5), "float32", False),
        (fnp.hypot(3.0, 4), "float32", True),
        (fnp.logaddexp2(1, fnp.ones(1, np.float16)), "float16", False),
    ],
)
def test_result_types(value, dtype, weak):
    assert (value.dtype.name, value.weak_type) == (dtype, weak)


def test_uint64_and_a_signed_scalar_are_a_weak_float():
    """As beside a signed array, so that the sum does not widen what it meets."""
    with fx.enable_x64(True):
        x = fnp.arange(3, dtype=np.uint64)
        for y in (np.int32(7), np.int64(7), fnp.asarray(np.int64(7))):
            total = x + y
            assert (total.dtype, total.weak_type) == (np.float64, True)
            assert (total * np.float32(1)).dtype == np.float32


def test_wide_dtypes_need_x64():
    with pytest.warns(UserWarning, match="will be truncated to dtype float32"):
        assert fnp.zeros(2, "float64").dtype == np.float32
    with fx.enable_x64():
        assert fnp.zeros(2, "float64").dtype == np.float64
        assert fnp.arange(3).dtype == np.int64
        assert fnp.sin(fnp.arange(3, dtype=np.int32)).dtype == np.float32


@pytest.mark.parametrize("x64", [False, True])
def test_dtypes_that_do_not_follow_from_the_lattice(x64):
    """Booleans count in 32 bits; a known exponent is none of the operands that promote; integers
    are rounded, turned and unwrapped in the default float.
    """
    with enable_x64(x64):
        b, i = fnp.array([True, True]), fnp.array([-1, 3], np.int8)
        wide = np.float64 if x64 else np.float32
        for x in (b // b, b % b, b << b, fnp.power(b, b), fnp.fmod(b, b), fnp.divmod(b, b)[0]):
            assert x.dtype == np.int32
        for two in (2, np.int64(2), np.array(2), fnp.int32(2)):
            assert (i**two).dtype == np.int8 and (i**two).tolist() == [1, 9]
        for f in (fnp.rint, fnp.angle, fnp.unwrap):
            assert f(i).dtype == f(b).dtype == wide
            assert f(fnp.ones(2, np.float16)).dtype == np.float16


@pytest.mark.parametrize(
    "call, kind",
    [
        (lambda: lax.eq(fnp.array([True]), 3), TypeError),
        (lambda: lax.max(fnp.array([True]), 3), TypeError),
        (lambda: lax.bitwise_and(fnp.array([True]), 2), TypeError),
        (lambda: fnp.array([fnp.uint8(1), -2]), OverflowError),
        (lambda: fnp.array([[fnp.uint8(1)], [300]]), OverflowError),
        (lambda: fnp.asarray(1j, np.float32), TypeError),
        (lambda: fnp.array([1, 1j], np.int32), TypeError),
        (lambda: fnp.full(2, 1j, np.float32), TypeError),
        (lambda: fnp.full_like(fnp.ones(2, np.int8), 1j), TypeError),
    ],
)
def test_no_number_is_cut_in_silence(call, kind):
    with pytest.raises(kind):
        call()


def test_strict_promotion():
    with fx.numpy_dtype_promotion("strict"):
        assert (fnp.ones(2) * 2).dtype == np.float32
        with pytest.raises(dtypes.TypePromotionError, match="strict"):
            fnp.ones(2) + fnp.arange(2)
    assert (fnp.ones(2) + fnp.arange(2)).dtype == np.float32


def test_rank_promotion():
    x, y = fnp.ones((2, 3)), fnp.ones(3)
    with fx.numpy_rank_promotion("raise"), pytest.raises(ValueError, match="rank_promotion"):
        x + y
    with fx.numpy_rank_promotion("warn"), pytest.warns(UserWarning, match="rank promotion"):
        x + y
    with fx.numpy_rank_promotion("raise"):
        assert (x + 1.0).shape == (2, 3)


def test_scalar_types_stand_for_their_dtype():
    assert fnp.float32 == np.dtype("float32") and fnp.dtype("int8") == fnp.int8
    assert fnp.int8(3).dtype == np.int8
    assert fnp.issubdtype(fnp.bfloat16, fnp.floating)
    assert isinstance(fnp.ones(2), fnp.ndarray)
    assert {fnp.float32: 1}[np.float32] == 1


def test_promotion_lattice_corners():
    assert fnp.promote_types("int32", "float16") == np.float16
    assert fnp.promote_types("float16", fnp.bfloat16) == np.float32
    assert fnp.promote_types("uint32", "int32") == np.int64
    assert fnp.promote_types("int64", "uint64").kind == "f"
    assert fnp.result_type(1, fnp.ones(1, np.int8)) == np.int8
    assert fnp.result_type(int) == np.int32


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: fnp.sum([1, 2]), TypeError, "got <class 'list'> at position 0"),
        (lambda: fnp.add(1, [2]), TypeError, "got <class 'list'> at position 1"),
        (lambda: fnp.add(None, 2), TypeError, "NoneType"),
        (lambda: fnp.ones(2) + [1, 2], TypeError, "unsupported operand"),
        (lambda: fnp.asarray("abc"), TypeError, "not a valid array type"),
        (lambda: fnp.array([1, [2]]), ValueError, "inhomogeneous"),
        (lambda: fnp.array(2**40), OverflowError, "too large to convert to int32"),
        (lambda: fnp.arange(3) + 2**40, OverflowError, "too large"),
        (lambda: fnp.ones((2, 3)) + fnp.ones(4), ValueError, r"shapes=\[\(2, 3\), \(4,\)\]"),
        (lambda: fnp.ones((2, 3)) @ fnp.ones((2, 3)), TypeError, "contracting dimensions"),
        (lambda: fnp.concatenate([fnp.ones(3), fnp.ones((2, 2))]), TypeError, "numbers of dimen"),
        (lambda: fnp.concatenate([fnp.ones((2, 3)), fnp.ones((2, 2))]), TypeError, "differ in dim"),
        (lambda: fnp.sum(fnp.ones(3), axis=2), ValueError, "axis 2 is out of bounds"),
        (lambda: fnp.einsum("ij,jk", fnp.ones((2, 3)), fnp.ones((2, 3))), ValueError, "label 'j'"),
        (lambda: fnp.einsum("ij,jk", fnp.ones((2, 3))), ValueError, "2 operands"),
        (lambda: fnp.einsum("ij->k", fnp.ones((2, 3))), ValueError, "'k'"),
        (lambda: fnp.max(fnp.zeros(0)), ValueError, "no identity"),
        (lambda: fnp.bitwise_and(1.0, 2), TypeError, "does not accept dtype float32"),
        (lambda: fnp.split(fnp.arange(5), 2), ValueError, "equal division"),
        (lambda: fnp.stack([]), ValueError, "at least one array"),
        (lambda: fnp.transpose(fnp.ones((2, 3)), (0, 0)), TypeError, "permutation"),
        (lambda: fnp.expand_dims(fnp.ones(3), 3), ValueError, "out of bounds"),
        (lambda: fnp.clip(fnp.arange(3), 1j), ValueError, "complex"),
        (lambda: fnp.arange(3) ** -1, TypeError, "negative powers"),
        (lambda: fnp.put(fnp.ones(3), 0, 1.0), ValueError, "inplace=False"),
        (lambda: fnp.sum(fnp.ones(3), out=1), NotImplementedError, "'out' argument"),
    ],
)
def test_mistakes(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize(
    "call",
    [
        fnp.nonzero,
        fnp.unique,
        fnp.arange,
        lambda x: fnp.repeat(fnp.ones(3), x),
        lambda x: fnp.bincount(x),
        lambda x: fnp.choose(x, [fnp.ones(3), fnp.ones(3)]),
    ],
)
def test_shapes_that_depend_on_data_need_sizes(call):
    with pytest.raises((errors.ConcretizationTypeError, TypeError)):
        x = 3 if call is fnp.arange else np.array([1, 0, 1])
        fx.jit(call)(x)


def test_traced_shapes_name_the_argument():
    with pytest.raises(TypeError, match="concrete values of integer type"):
        fx.jit(lambda n: fnp.zeros(n))(3)


# ---------------------------------------------------------------- size= and fill_value=


def test_sized_results_under_jit():
    x = np.array([3, 0, 3, 1, 0, 2])
    jit = lambda f: fx.jit(f)(x)
    assert jit(lambda x: fnp.nonzero(x, size=5, fill_value=-1))[0].tolist() == [0, 2, 3, 5, -1]
    assert jit(lambda x: fnp.flatnonzero(x, size=2)).tolist() == [0, 2]
    assert jit(lambda x: fnp.argwhere(x, size=2)).tolist() == [[0], [2]]
    assert jit(lambda x: fnp.where(x, size=4))[0].tolist() == [0, 2, 3, 5]
    values, first, back, count = jit(
        lambda x: fnp.unique(x, True, True, True, size=5, fill_value=9)
    )
    assert values.tolist() == [0, 1, 2, 3, 9] and count.tolist() == [2, 1, 1, 2, 0]
    assert first.tolist()[:4] == [1, 3, 5, 0] and back.tolist() == [3, 0, 3, 1, 0, 2]
    assert jit(lambda x: fnp.union1d(x, x + 1, size=5)).tolist() == [0, 1, 2, 3, 4]
    assert jit(lambda x: fnp.intersect1d(x, x + 1, size=3)).tolist() == [1, 2, 3]
    assert jit(lambda x: fnp.setdiff1d(x, np.array([3]), size=3)).tolist() == [0, 1, 2]
    assert jit(lambda x: fnp.setdiff1d(x, np.array([0, 1]), size=2)).tolist() == [2, 3]
    assert jit(lambda x: fnp.setdiff1d(x[:0], x, size=2, fill_value=9)).tolist() == [9, 9]
    assert jit(lambda x: fnp.setdiff1d(x / 0 - x / 0, x, size=2)).tolist()[1] == 0  # one NaN
    assert jit(lambda x: fnp.intersect1d(x, x[:2] + 7, size=2)).tolist() == [0, 0]
    assert jit(lambda x: fnp.intersect1d(x, x[4:] + 1, size=3)).tolist() == [1, 3, 1]
    assert jit(lambda x: fnp.bincount(x, length=5)).tolist() == [2, 1, 1, 2, 0]
    assert jit(lambda x: fnp.repeat(x, x, total_repeat_length=9)).tolist() == [3] * 6 + [1, 2, 2]
    assert jit(lambda x: fnp.compress(x > 0, x, size=5, fill_value=-1)).tolist() == [3, 3, 1, 2, -1]
    assert jit(lambda x: fnp.delete(x, x[3], assume_unique_indices=True)).tolist() == [
        3,
        3,
        1,
        0,
        2,
    ]


# ---------------------------------------------------------------- functions of functions


def test_vectorize():
    dot = fnp.vectorize(fnp.dot, signature="(n),(n)->()")
    assert dot(fnp.ones((4, 3)), fnp.ones(3)).shape == (4,)
    with pytest.raises(ValueError, match="core dimension"):
        dot(fnp.ones((4, 3)), fnp.ones(2))
    scaled = fnp.vectorize(lambda a, k: a * k, excluded={1})
    assert scaled(fnp.arange(3.0), 2).tolist() == [0, 2, 4]
    digits = fnp.vectorize(lambda x, y: x.sum() + y, signature="(2),()->()")  # a name, no size
    assert digits(fnp.ones((4, 3)), 1).tolist() == [4.0] * 4


def test_ufunc_objects():
    assert fnp.add.reduce(fnp.arange(4)) == 6
    assert fnp.maximum.accumulate(fnp.array([1, 3, 2])).tolist() == [1, 3, 3]
    assert fnp.add.at(fnp.zeros(2), np.array([0, 0]), 1.0, inplace=False).tolist() == [2, 0]
    assert fnp.multiply.outer(fnp.arange(2), fnp.arange(3)).shape == (2, 3)
    assert fnp.add.reduceat(fnp.arange(6), np.array([0, 3, 1, 4])).tolist() == [3, 3, 6, 9]
    power = fnp.frompyfunc(lambda x, y: x * y, 2, 1, identity=1)
    assert power.reduce(fnp.array([2, 3, 4])) == 24


def test_labels_of_einsum_are_whatever_sorts():
    x, y = fnp.arange(6.0).reshape(2, 3), fnp.arange(12.0).reshape(3, 4)
    for a, b, c in [("rows", "m", "z"), (7, -1, 40), ((1,), (0,), (2, 1)), ("é", "b", "B")]:
        np.testing.assert_array_equal(fnp.einsum(x, [a, b], y, [b, c], [a, c]), x @ y)
        np.testing.assert_array_equal(fnp.einsum(x, [..., b], y, [b, c], [c, ...]), (x @ y).T)
    np.testing.assert_array_equal(fnp.einsum(x, ["z", "m"], y, ["m", "a"]), (x @ y).T)  # sorted
    with pytest.raises(TypeError, match="compared"):
        fnp.einsum(x, ["a", 1], y, [1, "c"])
    with pytest.raises(ValueError, match="label 'q' is in no operand"):
        fnp.einsum(x, ["a", "b"], ["q"])


def test_einsum_path_is_cheap_first():
    x, y, z = fnp.ones((2, 50)), fnp.ones((50, 50)), fnp.ones((50, 1))
    path, _ = fnp.einsum_path("ij,jk,kl->il", x, y, z)
    assert path[0] in ((1, 2), (0, 1))
    assert fnp.einsum("ij,jk,kl->il", x, y, z).shape == (2, 1)


# ---------------------------------------------------------------- the fast path


OPERANDS = [
    (fnp.ones((2, 3)), fnp.full(3, 2.0)),
    (fnp.arange(6), 3),
    (fnp.arange(6.0), 2.5),
    (fnp.arange(6.0), 2),
    (fnp.asarray(2.0), fnp.ones(2)),
    (fnp.asarray(2.0), 3.0),
    (fnp.ones(2, np.int8), 3),
    (fnp.ones(2, np.uint8), fnp.ones(2, np.uint8)),
    (fnp.ones(2, bool), fnp.ones(2, bool)),
    (fnp.ones(2), fnp.ones(2, np.int32)),
    (fnp.array([np.inf, np.nan, 0.0]), 0.0),
]


def general(name):
    """The function of fx.numpy without the fast path before it."""
    found = getattr(fnp, name)
    return getattr(found, "_call", found).__wrapped__


@pytest.mark.parametrize("pair", OPERANDS, ids=range(len(OPERANDS)))
@pytest.mark.parametrize("name", fast.BINARY)
def test_fast_path_equals_the_general_one(name, pair):
    import operator

    op, (x, y) = getattr(operator, name), pair
    slow = {"sub": "subtract", "mul": "multiply", "truediv": "divide", "add": "add"}
    slow |= {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal"}
    slow |= {"gt": "greater", "ge": "greater_equal"}
    try:
        expected = general(slow[name])(x, y)
    except TypeError:
        with pytest.raises(TypeError):
            op(x, y)
        return
    found = op(x, y)
    assert found.aval == expected.aval
    assert np.array_equal(np.asarray(found), np.asarray(expected), equal_nan=True)


@pytest.mark.parametrize("name", fast.UNARY)
def test_fast_functions_equal_the_general_ones(name):
    values = [-np.inf, -2.5, -1.0, -0.0, 0.0, 0.3, 1.0, 200.0, np.inf, np.nan]
    weak = lax.mul(fnp.asarray(0.5), 1.0)
    with np.errstate(invalid="ignore"):
        bits = [fnp.asarray(np.array(values).astype(t)) for t in ("f2", "f4", "i4", "?")]
    for x in (*bits, fnp.zeros((0, 2)), fnp.asarray(1.0), weak, fnp.asarray(0.5 + 1j)):
        try:
            expected = general(name)(x)
        except TypeError:
            with pytest.raises(TypeError):
                getattr(fnp, name)(x)
            continue
        found = getattr(fnp, name)(x)
        assert found.aval == expected.aval
        assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


def test_fast_path_is_not_taken_while_tracing():
    x = fnp.ones(3)
    jaxpr = fx.make_jaxpr(lambda: x + x)()
    assert [e.primitive.name for e in jaxpr.eqns] == ["add"]
    assert core.state.trace is core.EVAL


def test_division_by_zero_is_silent():
    assert np.isinf(np.asarray(fnp.ones(1) / 0.0)).all()
    assert np.isnan(np.asarray(fnp.zeros(1) / 0.0)).all()


@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "bfloat16"])
def test_small_floats_are_floats_with_limits_and_sort_nan_last(name):
    assert fnp.issubdtype(name, np.floating) and not fnp.issubdtype(name, np.integer)
    assert fnp.finfo(name).bits == fnp.dtype(name).itemsize * 8
    out = fnp.sort(fnp.array([2, np.nan, 1], name)).astype("float32")
    np.testing.assert_array_equal(out, [1, 2, np.nan])


@pytest.mark.parametrize("dtype", ("float16", "bfloat16"))
def test_quantiles_of_narrow_floats_are_those_of_wide_ones(dtype):
    """The place of a quantile among a thousand elements is no number of these dtypes."""
    x = fnp.asarray(np.random.default_rng(0).normal(size=1000)).astype(dtype)
    for q in (0.5, 0.3, 0.9):
        want = fnp.quantile(x.astype("float32"), q).astype(dtype)
        assert fnp.quantile(x, q) == fx.jit(lambda x, q=q: fnp.quantile(x, q))(x) == want
    assert fnp.median(x) == fnp.quantile(x, 0.5) and fnp.nanmedian(x).dtype == dtype


def test_results_are_arrays_where_nothing_is_computed():
    x = np.ones(2, np.float32)
    empty = np.zeros((0, 3), np.float32)
    found = [fnp.positive(x), lax.integer_pow(x, 1), lax.integer_pow(2, 1)]
    found += [fnp.percentile(empty, 50), fnp.median(empty)]
    assert [type(v) for v in found] == [fx.Array] * len(found)


def test_scalars():
    assert all(map(fnp.isscalar, (1, 2.0, True, 1j, "a", np.float32(1), fnp.float32(1))))
    assert not any(map(fnp.isscalar, ([1], None, np.ones(1), fnp.ones(1))))
    kinds = [dtypes.scalar_type_of(x) for x in (1.5, np.int32, "bool", complex, fnp.ones(2))]
    assert kinds == [float, int, bool, complex, float]


def test_powers_of_a_loop_counter_keep_a_small_float():
    """A weakly typed exponent leaves a weakly typed base weak; integer powers of it are strong."""
    half = fnp.ones(2, fnp.bfloat16)

    def decayed(n):
        return fx.lax.fori_loop(0, n, lambda i, x: x * 0.5**i, half)

    assert fx.jit(decayed)(3).dtype == fnp.bfloat16
    np.testing.assert_array_equal(np.asarray(decayed(3), np.float32), [0.125, 0.125])
    avals = [fx.eval_shape(fnp.power, *pair) for pair in ((2.0, 3), (2, 3), (np.float32(2), 3))]
    assert [(a.dtype.name, a.weak_type) for a in avals] == [
        ("float32", True),
        ("int32", False),
        ("float32", False),
    ]
