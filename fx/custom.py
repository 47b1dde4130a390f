"""User-defined derivatives: custom_jvp, custom_vjp, or both rules on one function.

A call binds `custom_jvp_call` or `custom_vjp_call` with the user's Python rules; where the call
is recorded or batched the rules are traced to jaxprs (fx.custom_rules), so that no jaxpr holds
Python code. Eager differentiation runs the Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx import custom_batch as custom_batch
from fx.avals import float0, is_floating
from fx.case import Case
from fx.core import Zero, get_aval, instantiate
from fx.custom_rules import (
    CustomRules,
    SymbolicZero,
    check_tangents,
    custom_jvp_call_p,
    custom_vjp_call_p,
    symbolic,
)
from fx.flatten import check_callable, flatten_function, name_after, name_of
from fx.refs import apart
from fx.tree_util import Partial, prefix_leaves, tree_flatten, tree_map, tree_structure


class _Custom:
    """What custom_jvp and custom_vjp share: the function, its static arguments, its rules."""

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: Sequence[int] = (),
        nondiff_argnames: Sequence[str] = (),
    ):
        check_callable(fun)
        wrapper: Any = self
        name_after(wrapper, fun)
        self.fun = fun
        self.nondiff_argnums = tuple(nondiff_argnums) + _positions_of(fun, nondiff_argnames)
        self.jvp: Callable[..., Any] | None = None
        self.fwd: Callable[..., Any] | None = None
        self.bwd: Callable[..., Any] | None = None
        self.jvp_symbolic = self.vjp_symbolic = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        call: Any = self
        return self if instance is None else Partial(call, instance)

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule jvp(*nondiff, primals, tangents) -> (primal_out, tangent_out); usable as a
        decorator.
        """
        self.jvp, self.jvp_symbolic = jvp, symbolic_zeros
        return jvp

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set the rules fwd(*args) -> (out, residuals) and bwd(*nondiff, residuals, ct) -> tuple of
        cotangents.
        """
        self.fwd, self.bwd, self.vjp_symbolic = fwd, bwd, symbolic_zeros

    def _bind(self, p: core.Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        full = _resolve(self.fun, args, kwargs)
        nondiff = {n % len(full) for n in self.nondiff_argnums}
        static = [full[n] for n in sorted(nondiff)]
        dynamic = [a for k, a in enumerate(full) if k not in nondiff]
        bare, put_back = apart(tuple(dynamic))
        leaves, in_tree = tree_flatten(bare)

        def merged(*given: Any) -> list[Any]:
            rest = iter(put_back(given))
            return [full[k] if k in nondiff else next(rest) for k in range(len(full))]

        rules = _PythonRules(self, static, merged, in_tree)
        outs = p.bind(*leaves, rules=rules)
        return rules.out.tree.unflatten(outs)


class custom_jvp(_Custom):
    """A function with its own forward-mode rule (reverse mode follows by transposition).

    >>> import fx
    >>> @custom_jvp
    ... def f(x): return fx.numpy.sin(x)
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return f(x), 2 * fx.numpy.cos(x) * t
    """

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set one rule per argument: jvp(tangent, primal_out, *primals) -> tangent_out, or None for
        zero.
        """
        if self.nondiff_argnums:
            raise TypeError("Can't use ``defjvps`` with ``nondiff_argnums``.")

        def jvp(primals: Any, tangents: Any) -> Any:
            out = self(*primals)
            parts = [rule(t, out, *primals) for rule, t in zip(jvps, tangents) if rule is not None]
            if not parts:
                return out, tree_map(lambda x: instantiate(Zero.like(x)), out)
            total = parts[0]
            for part in parts[1:]:
                total = tree_map(core.add_values, total, part)
            return out, total

        self.defjvp(jvp)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise AttributeError(
                f"No JVP defined for custom_jvp function {name_of(self.fun)} using defjvp."
            )
        return self._bind(
            custom_jvp_call_p if self.fwd is None else custom_vjp_call_p, args, kwargs
        )


class custom_vjp(_Custom):
    """A function with its own reverse-mode rule.

    Forward mode uses the rule given to `defjvp`, if there is one, and is else derived by
    transposing `bwd`.

    >>> import fx
    >>> @custom_vjp
    ... def clip_gradient(x): return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (fx.numpy.clip(ct, -1, 1),))
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None:
            raise AttributeError(
                f"No VJP defined for custom_vjp function {name_of(self.fun)} using defvjp."
            )
        return self._bind(custom_vjp_call_p, args, kwargs)


def _resolve(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """All arguments by position, defaults filled in."""
    try:
        bound = inspect.signature(fun).bind(*args, **kwargs)
    except ValueError:  # no signature, as of some builtins
        bound = None
    except TypeError as error:
        raise TypeError(f"{name_of(fun)}: {error}") from None
    if bound is None:
        if kwargs:
            raise TypeError(f"{name_of(fun)} has no signature: give its arguments by position")
        return list(args)
    bound.apply_defaults()
    if bound.kwargs:
        raise TypeError(
            f"The following keyword arguments of {name_of(fun)} could not be resolved to "
            "positions: "
            f"{', '.join(bound.kwargs)}"
        )
    return list(bound.args)


def _positions_of(fun: Callable[..., Any], names: Sequence[str]) -> tuple[int, ...]:
    parameters = list(inspect.signature(fun).parameters) if names else []
    return tuple(parameters.index(n) for n in names)


# ---------------------------------------------------------------- the user's rules on flat values


class _PythonRules(CustomRules):
    """The rules as the user wrote them, for one call; see CustomRules for the flat signatures."""

    def __init__(self, custom: _Custom, static: list[Any], merged: Any, in_tree: Any):
        self.custom, self.static, self.merged, self.in_tree = custom, static, merged, in_tree
        self.name, self.owner = name_of(custom.fun), custom
        self.has_jvp, self.has_vjp = custom.jvp is not None, custom.fwd is not None
        self._call, self.out = flatten_function(lambda *a: custom.fun(*merged(*a)), in_tree)

    def call(self, *leaves: Any) -> list[Any]:
        return self._call(*leaves)

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        rule = self.custom.jvp
        assert rule is not None
        name = f"Custom JVP rule {name_of(rule)} for function {self.name}"
        given = [symbolic(t) if self.custom.jvp_symbolic else instantiate(t) for t in tangents]
        dynamic = self.in_tree.unflatten(primals), self.in_tree.unflatten(given)
        pair = rule(*self.static, *dynamic)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"{name} must produce a pair (list or tuple of length two) representing primal and "
                f"tangent outputs, but got {pair!r:.80}"
            )
        outs = self._outputs(name, pair[0])
        tangents_out, tangent_tree = tree_flatten(pair[1])
        if tangent_tree != self.out.tree:
            raise TypeError(
                f"{name} must produce primal and tangent outputs with equal container (pytree) "
                f"structures, but got {self.out.tree} and {tangent_tree} respectively."
            )
        return outs, check_tangents(name, outs, tangents_out)

    def fwd(
        self, primals: Sequence[Any], perturbed: Sequence[bool]
    ) -> tuple[list[Any], list[Any], Any]:
        rule = self.custom.fwd
        assert rule is not None
        given = list(primals)
        if self.custom.vjp_symbolic:
            given = [CustomVJPPrimal(x, p) for x, p in zip(primals, perturbed)]
        name = f"Custom VJP fwd rule {name_of(rule)} for function {self.name}"
        pair = rule(*self.merged(*self.in_tree.unflatten(given)))
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(
                f"{name} must produce a pair (list or tuple of length two) of the output and the "
                f"residuals, but got {pair!r:.80}"
            )
        outs = self._outputs(name, pair[0])
        bare, put_back = apart(pair[1])
        residuals, tree = tree_flatten(bare)
        return outs, residuals, (tree, put_back)

    def _outputs(self, name: str, value: Any) -> list[Any]:
        """The leaves of a rule's primal output; TypeError where the function, which has been
        recorded, has other ones. Where it has not, nobody has run it.
        """
        outs, tree = tree_flatten(value)
        if self.out_avals is not None:
            wrong = ""
            if tree != self.out.tree:
                wrong = f"container (pytree) structure: expected {self.out.tree}, got {tree}"
            for a, b in zip(map(get_aval, outs), self.out_avals):
                if not wrong and (a.shape, a.dtype) != (b.shape, b.dtype):
                    wrong = f"shapes and dtypes: expected {b.str_short()}, got {a.str_short()}"
            if wrong:
                raise TypeError(
                    f"{name} must produce the primal output of {self.name}, with equal {wrong}."
                )
        self.out.tree = tree
        return outs

    def bwd(
        self, key: Any, residuals: Sequence[Any], cts: Sequence[Any], avals: Sequence[Any]
    ) -> list[Any]:
        rule = self.custom.bwd
        assert rule is not None
        name = f"Custom VJP bwd rule {name_of(rule)} for function {self.name}"
        given = [symbolic(c) if self.custom.vjp_symbolic else instantiate(c) for c in cts]
        tree, put_back = key
        kept = put_back(tree.unflatten(residuals))
        result = rule(*self.static, kept, self.out.tree.unflatten(given))
        if isinstance(result, list):
            result = tuple(result)
        return _flat_cotangents(name, result, self.in_tree, avals)


class CustomVJPPrimal:
    """What fwd gets for each leaf with symbolic_zeros=True: the value, and whether it is
    perturbed.
    """

    __slots__ = ("perturbed", "value")

    def __init__(self, value: Any, perturbed: bool):
        self.value, self.perturbed = value, perturbed


def _flat_cotangents(name: str, result: Any, in_tree: Any, avals: Sequence[Any]) -> list[Any]:
    """One cotangent per argument leaf; None stands for zeros of a whole subtree, another leaf for
    itself at each leaf of one.
    """
    expected = in_tree.unflatten(range(in_tree.num_leaves))
    if not isinstance(result, tuple) or len(result) != len(expected):
        length = f" of length {len(result)}" if isinstance(result, tuple) else ""
        raise TypeError(
            f"{name} must produce an output with the same container (pytree) structure as the args "
            "tuple "
            "of the primal function, and in particular must produce a tuple of length "
            f"{len(expected)}, "
            f"but got {type(result).__name__}{length}."
        )
    flat: list[Any] = []
    for k, (arg, ct) in enumerate(zip(expected, result)):
        indices, arg_tree = tree_flatten(arg)
        if ct is None:
            flat += [Zero(avals[i].to_tangent_aval()) for i in indices]
            continue
        try:
            cts = prefix_leaves(ct, arg, name, none_is_leaf=True)
        except ValueError:
            has = "is one array" if arg_tree == tree_structure(0) else f"has {arg_tree}"
            raise TypeError(
                f"{name} must produce an output with the same container (pytree) structure as the "
                f"args tuple of the primal function: at args[{k}] it has {tree_structure(ct)}, the "
                f"argument {has}"
            ) from None
        flat += [_cotangent(name, c, avals[i], k) for i, c in zip(indices, cts)]
    return flat


def _cotangent(name: str, ct: Any, aval: Any, k: int) -> Any:
    expected = aval.to_tangent_aval()
    if ct is None or isinstance(ct, SymbolicZero | Zero) or expected.dtype == float0:
        return Zero(expected)
    if not core.is_array_value(ct):
        raise TypeError(
            f"{name} must produce an output with the same container (pytree) structure as the args "
            f"tuple of the primal function: at args[{k}] it has {tree_structure(ct)}, the argument "
            "is one array"
        )
    given = get_aval(ct)
    if given.shape != expected.shape:
        raise ValueError(
            f"{name} must produce a cotangent of the argument's shape: expected "
            f"{expected.str_short()} "
            f"for args[{k}] but got {given.str_short()}"
        )
    if given.dtype != expected.dtype and not given.weak_type:
        if not (is_floating(given.dtype) and is_floating(expected.dtype)):
            raise ValueError(
                f"{name} must produce a cotangent of the argument's dtype: expected "
                f"{expected.str_short()} for args[{k}] but got {given.str_short()}"
            )
        ct = core.PRIMITIVES["convert_element_type"].bind(  # the rule has a precision of its own
            ct, new_dtype=expected.dtype, weak_type=False
        )
    return core.constant_like(ct, expected) if isinstance(ct, int | float | complex) else ct


# ---------------------------------------------------------------- closures


def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Any, list[Any]]:
    """`fun` as a function without closed-over tracers: (converted, values); call converted(*args,
    *values).

    Only floating-point tracers are hoisted: they are what can be differentiated.
    """
    leaves, in_tree = tree_flatten(example_args)
    flat_fun, out = flatten_function(fun, in_tree)
    jaxpr, consts = core.trace_to_jaxpr(flat_fun, [get_aval(x) for x in leaves])
    hoist = [
        isinstance(c, core.Tracer) and c.aval.to_tangent_aval().dtype != float0 for c in consts
    ]
    hoisted = [c for c, h in zip(consts, hoist) if h]
    count = len(hoisted)

    def converted(*args_and_values: Any) -> Any:
        args = args_and_values[: len(args_and_values) - count]
        given = iter(args_and_values[len(args_and_values) - count :])
        flat, tree = tree_flatten(args)
        if tree != in_tree:
            raise TypeError(
                "The inputs to the closure produced by closure_convert must have the same pytree "
                f"structure as the example arguments: expected {in_tree}, got {tree}"
            )
        values = [next(given) if h else c for c, h in zip(consts, hoist)]
        return out.tree.unflatten(core.eval_jaxpr(jaxpr, values, *flat))

    return converted, hoisted


class _Rule:
    """The jaxpr of a cotangent function; its constants are residuals."""

    def __init__(self, jaxpr: core.Jaxpr, in_tree: Any, out_tree: Any):
        self.jaxpr, self.in_tree, self.out_tree = jaxpr, in_tree, out_tree

    def __call__(self, consts: list[Any], ct: Any) -> Any:
        flat = tree_flatten((ct,))[0]
        return self.out_tree.unflatten(core.eval_jaxpr(self.jaxpr, consts, *flat))


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function defined together with its gradient: `fun` returns (output, function of the
    cotangent).

    >>> @custom_gradient
    ... def f(x): return x ** 2, lambda ct: (ct * x,)
    """

    def primal(*args: Any) -> Any:
        return fun(*args)[0]

    def fwd(*args: Any) -> Any:
        out, rule = fun(*args)
        cts, in_tree = tree_flatten((out,))
        flat_rule, tree = flatten_function(rule, in_tree)
        avals = [get_aval(x).to_tangent_aval() for x in cts]
        jaxpr, consts = core.trace_to_jaxpr(flat_rule, avals)
        return out, Partial(_Rule(jaxpr, in_tree, tree.tree), consts)

    def bwd(rule: Any, ct: Any) -> Any:
        cts = rule(ct)
        return cts if isinstance(cts, tuple | list) else (cts,)

    wrapped = custom_vjp(name_after(primal, fun))
    wrapped.defvjp(fwd, bwd)
    return wrapped


# ---------------------------------------------------------------- test cases


def _product_with_jvp() -> Any:
    @custom_jvp
    def f(x: Any, y: Any) -> Any:
        return x * y * y

    f.defjvp(lambda xs, ts: (f(*xs), ts[0] * xs[1] * xs[1] + 2 * xs[0] * xs[1] * ts[1]))
    return f


def _product_with_vjp() -> Any:
    @custom_vjp
    def f(x: Any, y: Any) -> Any:
        return x * y * y

    f.defvjp(
        lambda x, y: (f(x, y), (x, y)),
        lambda res, ct: (ct * res[1] * res[1], 2 * ct * res[0] * res[1]),
    )
    return f


def _cases(make: Callable[[], Any]) -> Callable[[], list[Any]]:
    def cases() -> list[Any]:
        return [Case((s, s), call=make()) for s in ((2, 3), (), (0, 3))]

    return cases


custom_jvp_call_p.set(cases=_cases(_product_with_jvp))
custom_vjp_call_p.set(cases=_cases(_product_with_vjp))
