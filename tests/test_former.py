"""What programs written for several versions and many devices ask of a library on one device."""

import numpy as np
import pytest

import fx
import fx.core
import fx.experimental
import fx.numpy as jnp
import fx.ops
import fx.random
from fx import lax
from fx.former import _INSTEAD, missing
from fx.sharding import PartitionSpec as P


@pytest.mark.parametrize("module", _INSTEAD)
def test_former_names_say_what_to_use_instead(module):
    found = __import__(module, fromlist=["x"])
    for name, advice in _INSTEAD[module].items():
        assert not hasattr(found, name)
        with pytest.raises(AttributeError, match=f"'{module}' has no attribute '{name}': "):
            getattr(found, name)
        assert str(missing(module, name)).endswith(f"{advice}.")


@pytest.mark.parametrize("module", [*_INSTEAD, "fx.core"])
def test_other_names_are_only_missing(module):
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing_like_it'$"):
        _ = __import__(module, fromlist=["x"]).nothing_like_it


def test_core_has_the_names_of_its_extension():
    assert fx.core.concrete_or_error(int, 3.0) == 3
    assert fx.core.valid_jaxtype(1.0)
    assert fx.core.get_opaque_trace_state() == fx.core.get_opaque_trace_state()


@pytest.mark.parametrize(
    ("tree", "other", "says"),
    [
        ((1, 2), [1, 2], "at the top: tuple of 2 in tree 1, list of 2 in tree 2"),
        ({"a": (1, 2)}, {"a": (1, 2, 3)}, r"at \['a'\]: tuple of 2 in tree 1, tuple of 3"),
        ({"p": [{"w": 1}]}, {"p": [{"b": 1}]}, r"at \['p'\]\[0\]: dict with \['w'\]"),
        ({"a": None}, {"a": 1}, r"at \['a'\]: None in tree 1, a leaf of type int in tree 2"),
        ([{}], [np.ones((2, 3))], r"empty dict in tree 1, .* ndarray and shape \(2, 3\) in tree 2"),
    ],
)
def test_trees_that_differ_say_where(tree, other, says):
    with pytest.raises(ValueError, match=says):
        fx.tree.map(lambda x, y: x, tree, other)
    with pytest.raises(ValueError, match="in tree 3"):
        fx.tree.map(lambda *x: x, tree, tree, other)


def test_a_long_value_does_not_fill_the_error():
    with pytest.raises(ValueError, match=r"\.\.\. The trees differ at \[0\]") as e:
        fx.tree.map(lambda x, y: x, [(1,)], [np.arange(1000).tolist()])
    assert len(str(e.value)) < 700


def test_flags_of_the_compiler_are_taken_and_change_no_trace():
    traced = []
    f = fx.jit(lambda x: traced.append(1) or x + 1)
    f(1.0)
    old = fx.config.jax_persistent_cache_min_compile_time_secs
    fx.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    f(1.0)
    assert (fx.config.jax_persistent_cache_min_compile_time_secs, len(traced)) == (0, 1)
    fx.config.update("jax_persistent_cache_min_compile_time_secs", old)
    with pytest.raises(AttributeError, match="jax_persistent_cache_min_time"):
        fx.config.update("jax_persistent_cache_min_time", 0)
    with pytest.warns(UserWarning, match="one device"):
        fx.config.update("jax_num_cpu_devices", 8)
    fx.config.update("jax_num_cpu_devices", -1)


def test_the_folder_of_compiled_functions_is_a_flag():
    from fx.experimental.compilation_cache import compilation_cache

    compilation_cache.set_cache_dir("somewhere")
    assert fx.config.jax_compilation_cache_dir == "somewhere"
    compilation_cache.reset_cache()
    assert fx.config.jax_compilation_cache_dir is None


def test_a_compiled_function_says_where_its_arguments_are():
    compiled = fx.jit(lambda x, y: {"a": x * y}, donate_argnums=1).lower(1.0, y=2.0).compile()
    (x,), named = compiled.input_shardings
    assert x == named["y"] == compiled.output_shardings["a"] == jnp.ones(2).sharding
    lowered = fx.jit(lambda x, y: x * y, donate_argnums=1).lower(1.0, 2.0)
    assert lowered.donate_argnums == (1,)


def test_an_arrays_sharding_has_a_spec_and_a_mesh():
    sharding = jnp.ones((2, 3)).sharding
    assert (sharding.spec, dict(sharding.mesh.shape)) == (P(), {})
    assert fx.sharding.NamedSharding(sharding.mesh, sharding.spec).is_equivalent_to(sharding, 2)


def test_the_sharding_of_a_type_names_no_devices_and_splits_nothing():
    where = fx.typeof(jnp.ones((2, 3))).sharding
    assert where.is_fully_replicated
    with pytest.raises(ValueError, match="abstract mesh"):
        where.device_set  # noqa: B018  # the property is what raises
    mesh = fx.sharding.AbstractMesh((2, 1), ("x", "y"))
    over = [fx.sharding.NamedSharding(mesh, P(*spec)) for spec in ((), (None, "y"), (("y", "x"),))]
    assert [s.is_fully_replicated for s in over] == [True, True, False]
    assert [s.num_devices for s in over] == [2, 2, 2]


def test_devices_of_a_kind_that_is_not_there_raise():
    for ask in (fx.devices, fx.device_count, lambda kind: fx.local_devices(backend=kind)):
        with pytest.raises(RuntimeError, match="Unknown backend 'abacus'"):
            ask("abacus")


def test_constraints_over_an_abstract_mesh_of_one_device_are_met():
    over = fx.sharding.NamedSharding(fx.sharding.AbstractMesh((1, 1), ("x", "y")), P("x", "y"))
    x = jnp.ones((2, 3))
    np.testing.assert_array_equal(fx.jit(lambda x: lax.with_sharding_constraint(x, over))(x), x)
    two = fx.sharding.NamedSharding(fx.sharding.AbstractMesh((2,), ("x",)), P("x"))
    with pytest.raises((ValueError, NotImplementedError), match=r"abstract mesh|one device"):
        lax.with_sharding_constraint(x, two)


def test_meshes_say_whether_all_axes_are_of_a_type():
    kinds = fx.sharding.AxisType
    mesh = fx.make_mesh((1, 1), ("x", "y"), (kinds.Explicit, kinds.Explicit))
    both = mesh, mesh.abstract_mesh
    assert [(m.are_all_axes_explicit, m.are_all_axes_auto) for m in both] == [(True, False)] * 2
    mixed = fx.sharding.AbstractMesh((1, 1), ("x", "y"), (kinds.Explicit, kinds.Manual))
    assert not (mixed.are_all_axes_explicit or mixed.are_all_axes_manual)


def test_specs_print_as_they_are_written():
    assert [repr(s) for s in (P(), P(None), P("a", ("b", "c")))] == [
        "P()",
        "P(None,)",
        "P('a', ('b', 'c'))",
    ]


def test_lax_dtype_takes_dtypes():
    given = [np.dtype("int8"), jnp.float32, "float64", int, jnp.bfloat16, np.ones(2, np.int16), 1.0]
    names = [lax.dtype(x).name for x in given]
    assert names == ["int8", "float32", "float32", "int32", "bfloat16", "int16", "float32"]


def test_safe_map_takes_lists_of_one_length():
    from fx.api_util import safe_map

    assert safe_map(lambda x, y: x + y, [1, 2], (3, 4)) == [4, 6]
    with pytest.raises(ValueError, match="shorter"):
        safe_map(max, [1, 2], [3])
    with pytest.raises(TypeError, match="at least 2"):
        safe_map(max)


def test_no_primitive_is_a_call_for_interpreters_of_jaxprs():
    eqns = fx.make_jaxpr(fx.jit(jnp.sin))(1.0).eqns
    assert not any(e.primitive.call_primitive or e.primitive.map_primitive for e in eqns)


def test_pcast_is_the_value_inside_its_axis():
    x = jnp.arange(3.0)
    y = fx.vmap(lambda v: lax.pcast(v, "i", to="varying"), axis_name="i")(x)
    np.testing.assert_array_equal(y, x)
    with pytest.raises(NameError, match="unbound axis name: i"):
        lax.pcast(x, "i", to="varying")
    with pytest.raises(ValueError, match="'sideways'"):
        lax.pcast(x, (), to="sideways")


def test_axes_laid_out_by_the_compiler_or_by_types():
    mesh = fx.make_mesh((1,), ("x",))
    f = fx.sharding.auto_axes(lambda x: x + 1)
    with fx.set_mesh(mesh):
        assert f(jnp.ones(2), out_sharding=P("x")).tolist() == [2, 2]
        assert fx.sharding.explicit_axes(in_sharding=P("x"))(lambda x: -x)(1.0) == -1
        with pytest.raises(TypeError, match="out_sharding"):
            f(jnp.ones(2))


def test_exchange_with_other_hosts_is_with_nobody():
    from fx.experimental import mesh_utils, multihost_utils

    mesh = fx.make_mesh((1,), ("x",))
    tree = {"a": np.ones(2, np.float32)}
    spread = multihost_utils.host_local_array_to_global_array(tree, mesh, P("x"))
    assert isinstance(spread["a"], fx.Array)
    assert multihost_utils.global_array_to_host_local_array(spread, mesh, P("x")) is spread
    assert not multihost_utils.reached_preemption_sync_point(1)
    assert mesh_utils.create_hybrid_device_mesh((1, 1), (1, 1)).shape == (1, 1)
