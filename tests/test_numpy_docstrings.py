"""What the docstrings of families of elementwise functions share is appended by their makers: it
has to hold for each that says so.
"""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx.numpy import ufunc_base as base

pytestmark = pytest.mark.eager

SPREAD = (base.TWO, base.SPREAD)
SAYING = {
    name: inspect.getdoc(getattr(fnp, name)) or ""
    for name in dir(fnp)
    if any(
        fact in (getattr(getattr(fnp, name), "__doc__", "") or "") for fact in (base.ONE, *SPREAD)
    )
}


def ints(*shape):
    return np.ones(shape, np.int32)


@pytest.mark.parametrize("name", SAYING)
def test_what_a_family_says_holds_for_each(name):
    function, doc = getattr(fnp, name), SAYING[name]
    two = any(fact in doc for fact in SPREAD)
    out = function(ints(2, 3), ints(3)) if two else function(ints(2, 3))
    assert out.shape == (2, 3)
    assert (out.dtype == np.bool_) == (base.BOOLS in doc)
    assert (out.dtype == np.float32) == (base.FLOATS in doc)
    with pytest.raises(TypeError):
        function(*[[1]] * (1 + two))
    if two:
        with pytest.raises(TypeError):
            function(ints(2), ints(3))
        with pytest.raises(ValueError, match="broadcast"):
            function(ints(2, 2), ints(3))
    if base.BITS in doc:
        with pytest.raises(TypeError):
            function(*[1.5] * (1 + two))


def test_families_are_large_and_say_their_own_line_first():
    assert len(SAYING) > 80
    assert inspect.getdoc(fnp.sin).startswith("The sine of x in radians.")


def test_every_method_and_property_of_arrays_is_documented():
    names = [n for n in vars(fx.Array) if not n.startswith("_")]
    assert [n for n in names if not inspect.getdoc(getattr(fx.Array, n))] == []
    assert fx.Array.clip.__doc__ == fnp.clip.__doc__
    assert "x + y" in (fx.Array.__add__.__doc__ or "")


PUBLIC = [
    "fx",
    "fx.numpy",
    "fx.lax",
    "fx.nn",
    "fx.random",
    "fx.numpy.linalg",
    "fx.numpy.fft",
    "fx.scipy.special",
    "fx.scipy.linalg",
    "fx.scipy.signal",
    "fx.scipy.fft",
    "fx.tree_util",
    "fx.optim",
    "fx.losses",
    "fx.ops",
    "fx.image",
    "fx.sharding",
    "fx.dtypes",
    "fx.checkpoint_policies",
    "fx.monitoring",
    "fx.distributed",
    "fx.stages",
    "fx.experimental.ode",
    "fx.experimental.sparse",
    "fx.interpreters.batching",
    "fx.lax.linalg",
    "fx.example_libraries.optimizers",
]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_docstrings_say_more_than_the_name(module):
    """Shapes, dtypes, what raises: less than a line of text says none of it."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [k for k in dir(found) if not k.startswith("_")]
    for name in names:
        value = getattr(found, name)
        if not callable(value) or not str(getattr(value, "__module__", "")).startswith("fx"):
            continue
        if not (isinstance(value, type) and issubclass(value, BaseException)):
            assert len((value.__doc__ or "").strip()) >= 60, name
