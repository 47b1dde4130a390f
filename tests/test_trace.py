"""make_jaxpr, the printer, check, dead code, common subexpressions, questions about a function."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import core
from fx.ad_checkpoint import saved_residuals
from fx.core import Jaxpr, JaxprEqn, Literal, Var
from fx.passes import check_jaxpr, count_eqns, cse_jaxpr, dce_jaxpr, inline_jits
from fx.trace import simplified


def test_one_line_program():
    assert (
        str(fx.make_jaxpr(fnp.sin)(fnp.ones(3)))
        == "{ lambda ; a:f32[3]. let b:f32[3] = sin a in (b,) }"
    )
    assert str(fx.make_jaxpr(lambda x: x)(1.0)) == "{ lambda ; a:f32[]. let  in (a,) }"


def test_program_with_parameters_constants_and_literals():
    table = fnp.arange(3.0)
    text = str(fx.make_jaxpr(lambda x: (x * 2 + table).sum())(fnp.ones(3)))
    assert text.splitlines() == [
        "{ lambda a:f32[3]; b:f32[3]. let",
        *text.splitlines()[1:-1],
        f"  in ({text.splitlines()[-1].strip()[4:-4]},) }}",
    ]
    assert "reduce_sum[axes=(0,)" in text and "2.0:f32[]" in text


def test_inner_jaxprs_are_indented():
    text = str(fx.make_jaxpr(fx.jit(lambda x: fnp.sin(fnp.cos(x))))(1.0))
    assert "jit[" in text and "      jaxpr={ lambda ;" in text


def test_weak_types_and_shapes_come_out():
    closed, shape = fx.make_jaxpr(lambda x: {"y": x + 1}, return_shape=True)(1.0)
    assert shape == {"y": fx.ShapeDtypeStruct((), np.float32, weak_type=True)}
    assert closed.out_avals[0].weak_type
    struct = fx.ShapeDtypeStruct((2, 3), np.float32)
    assert fx.eval_shape(
        lambda a, b: a @ b, struct, fx.ShapeDtypeStruct((3, 4), np.float32)
    ).shape == (2, 4)


def test_static_arguments_of_make_jaxpr():
    closed = fx.make_jaxpr(lambda x, n: x**n, static_argnums=1)(2.0, 3)
    assert "integer_pow[y=3]" in str(closed)


def test_equations_know_the_users_line():
    closed = fx.make_jaxpr(lambda x: fnp.sin(x))(1.0)
    source = closed.eqns[0].source
    assert source.file == __file__ and source.line > 0
    # and keep it through transformations
    grad = fx.make_jaxpr(fx.grad(fx.jit(lambda x: fnp.sin(x))))(1.0)
    assert all(e.source is None or e.source.file == __file__ for e in grad.eqns)


def test_tracing_costs_no_memory_and_no_launch():
    big = fx.ShapeDtypeStruct((1 << 14, 1 << 14), np.float32)
    before = fx.counters()
    closed = fx.make_jaxpr(fx.grad(lambda x: fnp.exp(x).sum()))(big)
    assert closed.out_avals[0].shape == (1 << 14, 1 << 14)
    grown = fx.counters() - before
    assert (grown.launches, grown.live_bytes) == (0, 0)


def test_check_finds_broken_programs():
    closed = fx.make_jaxpr(lambda x: fnp.sin(x) * x)(1.0)
    check_jaxpr(closed)
    jaxpr = closed.jaxpr
    unbound = JaxprEqn(
        [Var(jaxpr.invars[0].aval)], [Var(jaxpr.invars[0].aval)], core.PRIMITIVES["sin"], {}
    )
    jaxpr.eqns.insert(0, unbound)
    with pytest.raises(TypeError, match="sin: variable used before it is bound"):
        check_jaxpr(closed)
    jaxpr.eqns[0] = jaxpr.eqns[1]
    with pytest.raises(TypeError, match="bound twice"):
        check_jaxpr(closed)


def test_dead_code_goes_and_effects_stay():
    def f(x, y):
        fnp.cos(y)
        return fnp.sin(x), x * y

    closed = fx.make_jaxpr(f)(1.0, 2.0)
    jaxpr, used = dce_jaxpr(closed.jaxpr, [True, False])
    assert used == [True, False]
    assert [e.primitive.name for e in jaxpr.eqns] == ["sin"]
    kept, used = dce_jaxpr(closed.jaxpr, [True, False], instantiate=True)
    assert used == [True, True] and len(kept.invars) == 2


def test_dead_code_inside_jit():
    closed = fx.make_jaxpr(lambda x, y: fx.jit(lambda x, y: (fnp.sin(x), fnp.cos(y)))(x, y)[0])(
        1.0, 2.0
    )
    jaxpr, used = dce_jaxpr(closed.jaxpr, [True])
    assert used == [True, False]
    assert count_eqns(jaxpr, "cos") == 0 and count_eqns(jaxpr, "sin") == 1


def test_common_subexpressions():
    closed = fx.make_jaxpr(lambda x: fnp.exp(x) + fnp.exp(x) * fnp.exp(-x))(1.0)
    assert count_eqns(cse_jaxpr(closed.jaxpr), "exp") == 2
    zeros = fx.make_jaxpr(lambda x: (x * 0.0, x * -0.0))(1.0)
    assert count_eqns(cse_jaxpr(zeros.jaxpr), "mul") == 2


@pytest.mark.parametrize(
    "f, name", [(fnp.exp, "exp"), (fnp.tanh, "tanh"), (lambda x: x @ x.T, "dot_general")]
)
def test_forward_work_appears_once(f, name):
    """Z2, M1: forward and backward are one program, the forward's work is in it once."""
    both = fx.make_jaxpr(fx.value_and_grad(lambda x: f(x).sum()))(fnp.ones((3, 3)))
    expected = 1 if name != "dot_general" else 3
    assert count_eqns(simplified(both), name) == expected


def test_gradients_of_gradients_hold_ordinary_primitives():
    closed = fx.make_jaxpr(fx.grad(fx.grad(lambda x: fnp.exp(fnp.sin(x)))))(1.0)
    assert {e.primitive.name for e in closed.eqns} <= {"sin", "cos", "exp", "mul", "neg", "add_any"}


def test_inlining():
    inner = fx.jit(lambda x: fnp.sin(x) + 1)
    closed = fx.make_jaxpr(fx.jit(lambda x: inner(x) * inner(2 * x)))(1.0)
    flat = inline_jits(closed.jaxpr)
    check_jaxpr(flat)
    assert count_eqns(flat, "jit") == 0 and count_eqns(flat, "sin") == 2
    np.testing.assert_allclose(
        core.eval_jaxpr(flat, closed.consts, 0.3)[0],
        (np.sin(0.3) + 1) * (np.sin(0.6) + 1),
        rtol=1e-6,
    )


def test_used_inputs_and_unused_gradients():
    """Z7."""

    def f(x, y):
        return fnp.exp(y).sum()

    x, y = fnp.ones((2, 3)), fnp.ones(3)
    assert fx.used_inputs(f)(x, y) == (False, True)
    g = fx.grad(f)(x, y)
    assert g.shape == (2, 3) and not np.asarray(g).any()
    assert fx.grad(f, 0, allow_unused=True)(x, y) is None
    assert fx.grad(f, (0, 1), allow_unused=True)(x, y)[1] is not None


def test_residuals():
    """Z23."""
    x = fnp.ones(3)
    assert len(saved_residuals(lambda x: fnp.exp(x).sum(), x)) == 1
    assert "output of exp" in saved_residuals(lambda x: fnp.exp(x).sum(), x)[0][1]
    assert saved_residuals(lambda x: (x + 1).sum(), x) == []
    assert "argument x" in saved_residuals(lambda x: (x * x).sum(), x)[0][1]


def test_compile_time_evaluation():
    @fx.jit
    def f(x):
        with fx.ensure_compile_time_eval():
            n = int(fnp.sum(fnp.arange(4)))
            doubled = x + x  # a traced value is traced as ever
        with core.eval_context(), pytest.raises(fx.errors.UnexpectedTracerError, match="concrete"):
            fnp.sin(x)
        return doubled * n / 2

    assert float(f(2.0)) == 12.0


def test_literals_are_scalars_only():
    closed = fx.make_jaxpr(lambda x: x + fnp.ones(3) + 1.5)(fnp.ones(3))
    literals = [a for e in closed.eqns for a in e.invars if isinstance(a, Literal)]
    assert all(a.aval.shape == () for a in literals)


def test_a_jaxpr_evaluates_to_what_it_was_traced_from(rng):
    def f(x, y):
        return fnp.where(x > 0, fnp.sin(x) @ y, (x * y).sum()), {"z": y[::-1]}

    x, y = (fnp.asarray(rng.standard_normal(4), dtype="float32") for _ in range(2))
    closed, shape = fx.make_jaxpr(f, return_shape=True)(x, y)
    check_jaxpr(closed)
    outs = core.eval_jaxpr(closed.jaxpr, closed.consts, x, y)
    for a, b in zip(outs, fx.tree.leaves(f(x, y)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [s.shape for s in fx.tree.leaves(shape)] == [o.shape for o in outs]


def test_last_layer_gradient_needs_no_input_gradients():
    """M19: three layers; the gradient by the last one's weights has the forward products and one
    more.
    """

    def mlp(w1, w2, w3, x):
        return (fnp.tanh(fnp.tanh(x @ w1) @ w2) @ w3).sum()

    args = [fnp.ones((3, 3)) for _ in range(4)]
    for argnum, extra in ((2, 1), (1, 2), (0, 3)):
        closed = fx.make_jaxpr(fx.grad(mlp, argnum))(*args)
        assert count_eqns(simplified(closed), "dot_general") == 2 + extra


def test_no_kind_of_tracer_hides_a_method_of_arrays():
    """A tracer's own attributes must not be named like NumPy's methods: x.var() was one."""
    kinds, todo = [], [core.Tracer]
    while todo:
        kinds.append(todo.pop())
        todo += kinds[-1].__subclasses__()
    assert len(kinds) > 3
    public = [n for n in dir(np.ndarray) if not n.startswith("__") and hasattr(core.Tracer, n)]
    assert {"var", "trace", "real", "T", "std"} <= set(public)
    for kind in kinds:
        changed = [n for n in public if getattr(kind, n) is not getattr(core.Tracer, n)]
        assert set(changed) <= {"dtype", "shape", "ndim", "size"}, (kind, changed)


def test_jaxprs_are_built_in_the_order_of_their_text():
    closed = fx.make_jaxpr(lambda x, y: (fnp.sin(x), x * y))(1.0, 2.0)
    j = closed.jaxpr
    again = Jaxpr(j.constvars, j.invars, j.outvars[1:], j.eqns, j.effects)
    assert core.eval_jaxpr(again, closed.consts, 2.0, 3.0) == [6.0]
    eqn = j.eqns[0]
    copy = JaxprEqn(
        eqn.invars, eqn.outvars, eqn.primitive, eqn.params, eqn.effects, eqn.source_info, eqn.ctx
    )
    assert str(closed.map_jaxpr(lambda j: j.replace(eqns=[copy, *j.eqns[1:]]))) == str(closed)
    fewer = j.replace(outvars=j.outvars[:1])
    assert (fewer.out_avals, fewer.debug_info.arg_names) == (closed.out_avals[:1], ())
    assert closed.replace(jaxpr=fewer).outvars == fewer.outvars
    with pytest.raises(ValueError, match="Unknown keyword arguments"):
        j.replace(outs=[])


def test_evaluated_jaxprs_may_name_the_line_that_evaluates():
    closed = fx.make_jaxpr(lambda x: fnp.sin(x))(1.0)

    def again(x):
        return core.eval_jaxpr(closed.jaxpr, [], x, propagate_source_info=False)

    line = fx.make_jaxpr(again)(1.0).eqns[0].source_info.line
    assert line != closed.eqns[0].source_info.line
