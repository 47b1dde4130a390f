"""What programs written for JAX lean on: the smallest program for each thing that one needed."""

import typing

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax


class Nameless:
    """A callable object that answers any attribute with a number."""

    def __getattr__(self, name):
        if name.startswith("__") and name != "__name__":
            raise AttributeError(name)
        return 3

    def __call__(self, x):
        return x * 2


def test_callable_objects_need_no_name():
    assert fx.vmap(Nameless())(jnp.arange(3)).tolist() == [0, 2, 4]
    assert float(fx.jit(Nameless())(3.0)) == 6.0
    assert float(fx.grad(Nameless())(3.0)) == 2.0


def test_array_like_has_concrete_arrays():
    assert isinstance(jnp.ones(2), typing.get_args(fx.typing.ArrayLike))
    assert isinstance(jnp.ones(2), fx.typing.Array)


def test_filled_arrays_take_a_sharding():
    assert jnp.full((2,), 3, out_sharding=None).tolist() == [3, 3]
    assert jnp.full_like(jnp.ones(2), 3, out_sharding=None).tolist() == [3, 3]


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit])
def test_negative_powers_of_integers(wrap):
    powers = lambda base: wrap(lambda n: base**n)(jnp.arange(-3, 4)).tolist()
    assert powers(-1) == [-1, 1, -1, 1, -1, 1, -1]
    assert powers(1) == [1] * 7
    assert powers(2) == [0, 0, 0, 1, 2, 4, 8]
    assert wrap(lambda n: jnp.uint32(3) ** n)(jnp.arange(4, dtype=jnp.uint32)).tolist() == [
        1,
        3,
        9,
        27,
    ]


# ---------------------------------------------------------------- random keys are values


def test_keys_compare_and_print():
    keys = fx.random.split(fx.random.key(0))
    assert (keys == keys[0]).tolist() == [True, False]
    assert fx.jit(lambda k: k != k[1])(keys).tolist() == [True, False]
    assert repr(keys[0]) == "Array((), dtype=key<fry>) overlaying:\n[1797259609 2579123966]"
    assert keys.dtype.type is fx.dtypes.prng_key


@pytest.mark.parametrize(
    "function",
    [
        lambda k: k + k,
        lambda k: k < k,
        lambda k: -k,
        lambda k: jnp.sin(k),
        lambda k: k.astype(np.int32),
        lambda k: k * 2,
        lambda k: jnp.maximum(k, k),
    ],
)
def test_keys_are_no_numbers(function):
    for f in (function, fx.jit(function)):
        with pytest.raises((TypeError, ValueError), match="key<fry>"):
            f(fx.random.key(0))


# ---------------------------------------------------------------- weak types


def test_a_promoted_carry_is_strong():
    out = lax.while_loop(lambda c: c < 3, lambda c: c + 1.5, jnp.array(0))
    assert (out.dtype, out.weak_type) == (np.float32, False)
    out = lax.while_loop(lambda c: c < 3, lambda c: c + 1.5, jnp.array(0.0))
    assert out.weak_type


def test_cond_is_weak_where_the_first_branch_is():
    weak, strong = jnp.array(1.0), jnp.float32(1)
    assert lax.cond(True, lambda: strong, lambda: weak).weak_type
    assert not lax.cond(True, lambda: weak, lambda: strong).weak_type
    assert lax.switch(1, [lambda: weak, lambda: strong]).weak_type


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.at[()].set(3),
        lambda x: lax.clamp(0, x, 5),
        lambda x: jnp.pad(x[None], 1),
        lambda x: jnp.gcd(x, 2),
        lambda x: lax.full_like(x, 1),
    ],
)
def test_weak_type_is_kept(function):
    out = function(jnp.array(3))
    assert isinstance(out, fx.Array) and out.weak_type and out.dtype == np.int32


def test_convert_element_type_is_strong():
    assert not lax.convert_element_type(3, float).weak_type


# ---------------------------------------------------------------- interpreters and tools


def test_an_interpreter_keeps_lines():
    from fx.extend import source_info_util
    from fx.extend.core import primitives

    closed = fx.make_jaxpr(lambda x: jnp.sin(x) * 2)(1.0)

    def evaluate(x):
        values = dict(zip(closed.jaxpr.invars, [x]))
        for eqn in closed.jaxpr.eqns:
            operands = [
                getattr(a, "val", None) if a not in values else values[a] for a in eqn.invars
            ]
            with source_info_util.user_context(eqn.source_info.traceback), eqn.ctx.manager:
                values[eqn.outvars[0]] = eqn.primitive.bind(*operands, **eqn.params)
        return values[closed.jaxpr.outvars[0]]

    again = fx.make_jaxpr(evaluate)(1.0)
    assert [e.primitive for e in again.eqns] == [primitives.sin_p, primitives.mul_p]
    lines = [source_info_util.summarize(e.source_info) for e in again.eqns]
    assert lines == [source_info_util.summarize(e.source_info) for e in closed.eqns]
    assert "test_ported.py" in lines[0]


def test_registry_flattens_one_level():
    registry = fx.tree_util.default_registry
    assert list(registry.flatten_one_level({"a": [1, 2]})[0]) == [[1, 2]]
    assert registry.flatten_one_level(3) is None
    leaves, _ = registry.flatten_with_path((1, [2]))
    assert [fx.tree_util.keystr(path) for path, _ in leaves] == ["[0]", "[1][0]"]


class Shaped:
    """A node that checks its child's shape when it is rebuilt."""

    def __init__(self, x):
        if hasattr(x, "shape") and x.ndim > 1:
            assert x.shape[-1] == 2, x.shape
        self.x = x


fx.tree_util.register_pytree_node(Shaped, lambda s: ((s.x,), None), lambda _, xs: Shaped(*xs))


def test_vmap_rebuilds_nodes_once_their_axes_stand():
    f = lambda x, w: Shaped(w @ x)  # the mapped axis comes out last, and is moved to the front
    out = fx.vmap(f, (1, None))(jnp.ones((3, 4)), jnp.ones((2, 3)))
    assert out.x.shape == (4, 2)
    out = fx.vmap(f, (1, None), Shaped(0))(jnp.ones((3, 4)), jnp.ones((2, 3)))
    assert out.x.shape == (4, 2)


def test_bind_params_and_taken_traces():
    from fx.extend.core import take_current_trace

    eqn = fx.make_jaxpr(lambda x: jnp.sum(x, 0))(jnp.ones((2, 3))).jaxpr.eqns[0]
    params = eqn.primitive.get_bind_params(eqn.params)
    assert eqn.primitive.bind(jnp.ones((2, 3)), **params).shape == (3,)

    def f(x):
        with take_current_trace() as trace:
            assert type(jnp.ones(2) + 1).__name__ == "Array" and trace.kind == "jaxpr"
        return x

    fx.make_jaxpr(f)(1.0)


# ---------------------------------------------------------------- dtypes, scalars, products


def test_scalar_types_equal_numpys():
    assert jnp.float32 == np.float32 and np.float32 == jnp.float32
    assert {np.int8: 1}[jnp.int8] == 1
    assert jnp.bfloat16 != jnp.float16 and jnp.int8 != "int8"


@pytest.mark.parametrize("scalar", [1.5, 1j])
def test_lax_cuts_no_python_scalars(scalar):
    with pytest.raises(TypeError, match="would be cut to int32"):
        lax.add(jnp.int32(1), scalar)


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit])
def test_products_of_two_dtypes(wrap):
    x, y = jnp.ones(3), jnp.arange(3)
    assert wrap(lax.dot)(x, y).dtype == np.float32
    assert wrap(lax.dot)(x.astype(jnp.float16), x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert wrap(fx.grad(lax.dot))(x, y).tolist() == [0, 1, 2]
    narrow = wrap(fx.grad(lambda y: lax.dot(x, y)))(x.astype(jnp.bfloat16))
    assert narrow.dtype == jnp.bfloat16 and narrow.tolist() == [1, 1, 1]


def test_jit_of_one_function_traces_once():
    traces = []

    def double(x):
        traces.append(x)
        return x * 2

    for _ in range(3):
        fx.jit(double)(1.0)
    assert len(traces) == 1
    fx.jit(double, static_argnums=0)(1.0)
    fx.jit(double).clear_cache()
    fx.jit(double)(1.0)
    assert len(traces) == 3


def test_compiled_functions_take_the_arguments_that_are_not_static():
    lowered = fx.jit(lambda x, y, *, k: 2 * x + k * y, static_argnums=0, static_argnames="k")
    compiled = lowered.lower(7, 8, k=3).compile()
    assert int(compiled(5)) == 29
    with pytest.raises(TypeError, match="does not match the input pytree"):
        compiled(7, 5, k=3)
    with pytest.raises(TypeError, match="Cannot apply transformations"):
        fx.vmap(compiled)(np.arange(3))


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit])
def test_linear_functions_with_a_jvp_rule_are_transposed(wrap):
    @fx.custom_jvp
    def weigh(w, x):
        return w * x

    weigh.defjvps(None, lambda t, out, w, x: w * t)
    transposed = fx.linear_transpose(wrap(lambda x: weigh(3.0, x) + x), 1.0)
    assert float(transposed(2.0)[0]) == 8.0


def test_zeros_from_primals_are_trees():
    zeros = fx.custom_derivatives.zero_from_primal({"a": jnp.ones(2), "b": (3.0, None)})
    assert zeros["a"].tolist() == [0, 0] and float(zeros["b"][0]) == 0.0
    symbolic = fx.custom_derivatives.zero_from_primal((jnp.ones(2),), symbolic_zeros=True)
    assert symbolic[0].shape == (2,)


def test_the_shape_of_none_is_deprecated():
    with pytest.warns(DeprecationWarning, match="got None"):
        assert jnp.shape(None) == ()


def test_flags_on_the_command_line(monkeypatch):
    words = ["program", "--jax_debug_nans", "--jax_log_compiles=false", "--other", "--", "--jax_x"]
    monkeypatch.setattr("sys.argv", words)
    try:
        fx.config.parse_flags_with_absl()
        assert fx.config.jax_debug_nans is True and fx.config.jax_log_compiles is False
    finally:
        fx.config.update("jax_debug_nans", False)


class Measured:
    """Numbers with a unit, which NumPy reads without it."""

    def __init__(self, numbers):
        self.numbers = np.asarray(numbers)
        self.shape, self.dtype = self.numbers.shape, self.numbers.dtype

    def metres(self):
        return self.numbers * 1000


def test_types_become_arrays_by_tables():
    from fx.interpreters import xla

    with pytest.raises(TypeError):
        fx.jit(jnp.sin)(Measured([1.0]))
    mappings = fx.core.pytype_aval_mappings
    mappings[Measured] = mappings[np.ndarray]
    xla.canonicalize_dtype_handlers[Measured] = Measured.metres
    try:
        f = fx.jit(lambda x: x + 1)
        for _ in range(4):
            assert f(Measured([1.0, 2.0])).tolist() == [1001.0, 2001.0]
        assert (jnp.sin(Measured([1.0])) == jnp.sin(1000.0)).all()
        assert fx.typeof(Measured([1.0])) == fx.core.ShapedArray((1,), np.float32)
    finally:
        del mappings[Measured], xla.canonicalize_dtype_handlers[Measured]
    assert xla.canonicalize_dtype_handlers[np.ndarray]([1, 2]).tolist() == [1, 2]
