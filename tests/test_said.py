"""What docstrings say of whole families holds: the dtypes that fx.lax takes, results, refusals."""

import inspect
import re

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from fx.lax import compare, elementwise, special

CLASSES = {
    "booleans": [np.bool_],
    "integers": [np.int32, np.uint8],
    "floats": [np.float16, np.float32],
    "complex numbers": [np.complex64],
    "numbers": [np.int32, np.uint8, np.float16, np.float32, np.complex64],
    "random keys": [],
    "int32": [np.int32],
    "uint32": [np.uint32],
    "float32": [np.float32],
    "float64": [],
}
PROBED = {np.bool_, np.int32, np.uint8, np.uint32, np.float16, np.float32, np.complex64}
SAID = re.compile(r"dtype ([\w ]+)\.\nRaises TypeError for dtypes other than ([\w, ]+)\.")
CASES = [
    (getattr(m, name), *found.groups())
    for m in (elementwise, compare, special)
    for name in m.__all__
    if (found := SAID.search(inspect.getdoc(getattr(m, name)) or ""))
]


@pytest.mark.parametrize(("f", "result", "dtypes"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_the_dtypes_that_are_said_and_no_others(f, result, dtypes):
    accepted = {d for c in re.split(", | and ", dtypes) for d in CLASSES[c]}
    if "integers" in dtypes or "numbers" in dtypes.replace("complex numbers", ""):
        accepted.add(np.uint32)
    code = f.__code__
    count = code.co_argcount + code.co_posonlyargcount
    count = 1 if f is lax.round else min(count, 2)
    for dtype in PROBED:
        operands = [np.ones(2, dtype)] * count
        if dtype not in accepted:
            with pytest.raises(TypeError):
                f(*operands)
            continue
        real = np.ones(0, dtype).real.dtype
        expected = {
            "as given": np.dtype(dtype),
            "bool": np.dtype(bool),
            "that of the real part": real,
            "complex of that precision": np.dtype(np.complex64),
        }[result]
        assert f(*operands).dtype == expected


def test_the_facts_of_a_family_stand_before_its_examples():
    doc = inspect.getdoc(lax.reduce_sum) or ""
    assert 0 < doc.index("lacks `axes`") < doc.index(">>> ")
    assert len(CASES) > 60


def test_collectives_refuse_dimensions_that_do_not_divide():
    def over(f, x):
        return fx.vmap(f, axis_name="i")(x)

    for tiled, size in ((False, 2), (True, 4)):
        x = fnp.ones((3, size))
        with pytest.raises(ValueError, match="all_to_all: dimension 0"):
            over(lambda v, t=tiled: lax.all_to_all(v, "i", 0, 0, tiled=t), x)
        with pytest.raises(ValueError, match="psum_scatter: dimension 0"):
            over(lambda v, t=tiled: lax.psum_scatter(v, "i", tiled=t), x)
    with pytest.raises(ValueError, match="permutation of the axis"):
        over(lambda v: lax.pshuffle(v, "i", [1, 0]), fnp.arange(3.0))


COLLECTIVES = {
    "all_gather": lambda v: lax.all_gather(v, "i", axis=3),
    "all_to_all": lambda v: lax.all_to_all(v, "i", 0, 0),
    "psum_scatter": lambda v: lax.psum_scatter(v, "i"),
    "ppermute": lambda v: lax.ppermute(v, "i", [(0, 3)]),
}


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives_refuse_places_that_are_not_there(name):
    with pytest.raises(ValueError, match=f"{name}: .*(out of bounds|positions 0 to 2)"):
        fx.vmap(COLLECTIVES[name], axis_name="i")(fnp.arange(3.0))


def test_the_least_integers_are_found():
    for x in (np.array([1, -(2**31), 0], np.int32), np.array([3, 0, 255], np.uint8)):
        values, indices = lax.approx_min_k(fnp.array(x), 2)
        order = np.argsort(x, kind="stable")[:2]
        np.testing.assert_array_equal(values, x[order])
        np.testing.assert_array_equal(indices, order)


def test_arguments_that_mean_nothing_are_refused():
    with pytest.raises(TypeError, match="unsigned"):
        lax.rng_bit_generator(np.arange(4, dtype=np.uint32), (2,), np.float32)
    for bits in ((0, 10), (5, -1)):
        with pytest.raises(ValueError, match="exponent_bits"):
            lax.reduce_precision(np.float32(1), *bits)
    x = fnp.ones((1, 2))
    with pytest.raises(ValueError, match="'max' or 'min'"):
        lax.select_and_scatter_add(x, x, "most", (1, 1), (1, 1), ((0, 0), (0, 0)))


def test_same_keeps_the_size_of_the_first():
    from fx.scipy import signal

    x, y = np.arange(3.0), np.arange(5.0)
    for method in ("direct", "fft"):
        found = signal.convolve(x, y, "same", method=method)
        np.testing.assert_allclose(found, np.convolve(x, y)[2:5], atol=1e-5)
        assert signal.convolve(y, x, "same", method=method).shape == (5,)
        assert signal.correlate(x, y, "same", method=method).shape == (3,)


def test_one_matrix_and_no_derivatives_by_order():
    from fx.scipy import linalg, special

    with pytest.raises(ValueError, match="one matrix"):
        linalg.funm(np.eye(2)[None], fnp.exp)
    with pytest.raises(NotImplementedError, match="diff_n"):
        special.sph_harm_y(np.array([1]), np.array([0]), 0.5, 0.5, diff_n=1)


def test_a_debug_check_is_nothing_without_checkify():
    from fx.experimental import checkify

    def checked(x):
        checkify.debug_check(x > 0, "not positive: {}", x)
        return 2 * x

    assert float(fx.jit(checked)(-1.0)) == -2.0 == float(checked(-1.0))
    error, _ = checkify.checkify(fx.jit(checked))(-1.0)
    assert "not positive: -1.0" in str(error.get())
