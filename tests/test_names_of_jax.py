"""Names that programs for JAX look for, and what they do here."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax

pytestmark = pytest.mark.eager


def test_pbroadcast_gives_all_the_value_of_one():
    x = np.array([[1.0, np.nan], [3.0, 4.0], [5.0, 6.0]], "f")
    found = fx.vmap(lambda x: lax.pbroadcast({"a": x}, "i", 1), axis_name="i")(x)["a"]
    np.testing.assert_array_equal(found, [[3, 4]] * 3)


def test_accuracy_is_said_in_these_words():
    assert lax.exp(0.0, accuracy=lax.Tolerance(atol=1e-3, ulps=4)) == 1.0
    assert lax.exp(0.0, accuracy=lax.AccuracyMode.HIGHEST) == 1.0
    with pytest.raises(ValueError, match="non-negative"):
        lax.Tolerance(rtol=-1.0)
    with pytest.raises(ValueError, match="At least one"):
        lax.Tolerance()


@pytest.mark.parametrize("name", ["create_token", "after_all", "psend", "ragged_all_to_all"])
def test_names_that_are_not_here_say_what_is(name):
    with pytest.raises(AttributeError, match=f"'{name}': (data|use)"):
        getattr(lax, name)


def test_ds_is_an_index_of_arrays_and_refs():
    x = fnp.arange(8)
    np.testing.assert_array_equal(x[fx.ds(2, 3)], [2, 3, 4])
    np.testing.assert_array_equal(x[fx.ds(1, 3, 2)], [1, 3, 5])
    np.testing.assert_array_equal(x[fx.ds(2)], [0, 1])
    np.testing.assert_array_equal(x[fx.ds(None)], np.arange(8))
    ref = fx.new_ref(fnp.zeros((3, 4)))
    ref[1, fx.ds(fnp.int32(1), 2)] = 7.0
    np.testing.assert_array_equal(ref[...][1], [0, 7, 7, 0])
    with pytest.raises(ValueError, match="size must be"):
        fx.ds(0, -1)


def test_numbers_from_files_and_iterables(tmp_path):
    np.arange(5.0).tofile(tmp_path / "five")
    np.testing.assert_array_equal(fnp.fromfile(tmp_path / "five", count=3), [0, 1, 2])
    found = fnp.fromiter((k * k for k in range(4)), np.int32)
    np.testing.assert_array_equal(found, [0, 1, 4, 9])
    assert found.dtype == np.int32


def test_keys_of_other_generators_are_threefrys_and_say_so():
    with pytest.warns(UserWarning, match='"rbg" keys are threefry2x32 keys'):
        key = fx.random.key(3, impl="rbg")
    np.testing.assert_array_equal(fx.random.key_data(key), [0, 3])
    with pytest.raises(ValueError, match="unrecognized PRNG"):
        fx.random.key(3, impl="mersenne")


@pytest.mark.parametrize("name", ["linalg", "fft"])
def test_a_star_brings_what_numpys_brings_and_no_helper(name):
    ours, numpys = getattr(fnp, name), getattr(np, name)
    functions = {n for n in numpys.__all__ if callable(getattr(numpys, n)) and hasattr(ours, n)}
    assert functions <= set(ours.__all__)
    assert all(getattr(ours, n).__doc__ for n in ours.__all__)
    assert not {"u", "m", "lax", "factor_eigh", "asarray"} & set(ours.__all__)


def test_an_equation_prints_as_in_its_jaxpr():
    (sine, product) = fx.make_jaxpr(lambda x: fnp.sin(x) * 2.0)(fnp.ones(3)).eqns
    assert str(sine) == "a:f32[3] = sin b"
    assert repr(product) == "a:f32[3] = mul b 2.0:f32[]"


def test_primitives_that_no_jaxpr_has_are_keys_for_rules():
    from fx.extend.core import primitives

    rules = {primitives.call_p: 1, primitives.closed_call_p: 2}
    assert rules[primitives.closed_call_p] == 2
    jaxpr = fx.make_jaxpr(lambda x: fx.jit(fnp.sin)(x) + 1)(1.0)
    assert not any(eqn.primitive in rules for eqn in jaxpr.eqns)
    with pytest.raises(NotImplementedError, match="call_p is a key"):
        primitives.call_p.bind(1.0)
    with pytest.raises(AttributeError, match="'xla_pmap_p'"):
        _ = primitives.xla_pmap_p


def test_rules_that_ask_for_the_name_of_the_axis():
    from fx.extend.core import Primitive
    from fx.interpreters import batching

    seen = []
    twice = Primitive("twice_of_a_named_axis", numpy=lambda x: 2 * x, abstract=lambda x: x)

    def rule(axis_size, axis_name, trace_type, args, dims):
        seen.append((axis_size, axis_name))
        return twice.bind(*args), dims[0]

    batching.axis_primitive_batchers[twice] = rule
    try:
        out = fx.vmap(twice.bind, axis_name="i")(fnp.arange(3.0))
        assert out.tolist() == [0.0, 2.0, 4.0]
        again = batching.axis_primitive_batchers[twice](3, "j", None, (fnp.ones(3),), (0,))
        assert again[0].tolist() == [2.0] * 3 and again[1] == 0
    finally:
        fx.core.PRIMITIVES.pop(twice.name)
    assert seen == [(3, "i"), (3, "j")]


def test_avals_of_what_a_batch_shares_are_as_they_are():
    from fx.extend.core import mapped_aval, unmapped_aval

    aval = fx.core.ShapedArray((3, 4), np.float32)
    assert mapped_aval(4, 1, aval).shape == (3,) and unmapped_aval(5, 1, aval).shape == (3, 5, 4)
    assert mapped_aval(7, None, aval) == aval == unmapped_aval(7, None, aval)


def test_a_trace_is_told_by_its_main():
    def f(x):
        return x * (2.0 if x._trace.main is fx.extend.core.find_top_trace([x]).main else 3.0)

    assert fx.jvp(f, (1.0,), (1.0,))[1] == 2.0
