"""Library functions on concrete arrays: recorded once a signature, then replayed as NumPy calls.

What a library function does depends on shapes, dtypes and Python values, and leads to a handful of
primitives. Outside traces the third call of a signature is recorded as a jaxpr; from then on its
equations' NumPy rules run in a row, 0.3 us each beside NumPy's own time, without promotion, avals
and Arrays in between. What cannot be recorded, or needs values, keeps the ordinary path.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial, wraps
from math import copysign
from typing import Any

import numpy as np

from fx import core
from fx.array import Array, to_numpy
from fx.config import config
from fx.jaxpr import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from fx.numpy import fast
from fx.numpy.fast import silently
from fx.passes import dce_jaxpr
from fx.tree_util import tree_flatten

FIRST = 3
"""The call of a signature that records: numbers that differ from call to call are no signature."""

_FOLDED = 1 << 14  # bytes of a constant that is computed when recorded
_LIMIT = 1024  # signatures a function may have before it begins anew
_EXACT = frozenset((int, bool, str, type(None), type(Ellipsis), type))
_made: dict[Any, Any] = {}  # function -> its recorded form


def recorded(function: Callable[..., Any], scalars: bool = True) -> Any:
    """The function, quick on concrete arrays. `scalars` False: 0-d arrays are values to it, which
    decide what it computes.
    """
    found = _made.get(function)
    if found is not None:
        return found
    programs: dict[Any, Any] = {}  # signature -> how often it was seen, a program, or None

    state, evaluates, token = core.state, core.EVAL, config.token

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if state.trace is not evaluates or core.checker is not None:
            return function(*args, **kwargs)
        leaves: Any = args
        if not kwargs and len(args) == 1 and type(args[0]) is Array:
            key: Any = (token(), args[0]._known or args[0].aval)
        elif not kwargs and len(args) == 2 and type(args[0]) is Array is type(args[1]):
            x, y = args
            key = (token(), x._known or x.aval, y._known or y.aval)
        else:
            leaves, signature = [], [token()]
            if not read(args, leaves, signature) or (
                kwargs and not _named(kwargs, leaves, signature)
            ):
                return function(*args, **kwargs)
            key = tuple(signature)
        program = programs.get(key, 0)
        if type(program) is int:
            program = _next(function, args, kwargs, leaves, program, scalars)
            if len(programs) >= _LIMIT:
                programs.clear()
            programs[key] = program
        if program.__class__ is Program:
            return program(leaves)
        return function(*args, **kwargs)

    _made[function] = call
    call.programs = programs  # type: ignore[attr-defined]
    return call


def form_of(function: Any) -> Any:
    """The function's recorded form, the function itself where it has none."""
    return _made.get(function, function)


def _next(
    function: Any, args: Any, kwargs: Any, leaves: list[Any], seen: int, scalars: bool
) -> Any:
    """A signature was met again: the count, a program, or None for never."""
    if seen + 1 < FIRST:
        return seen + 1
    if not scalars and any(not x.shape for x in leaves):
        return None
    return record(function, args, kwargs, leaves)


# ---------------------------------------------------------------- signatures


def read(values: Sequence[Any], leaves: list[Any], signature: list[Any]) -> bool:
    """Append the arrays among `values`, and what else the result depends on; False for values that
    no signature can hold.
    """
    for x in values:
        kind = type(x)
        if kind is Array:
            leaves.append(x)
            signature.append(x._known or x.aval)
        elif kind in _EXACT:
            signature += (kind, x)
        elif kind is float:
            if x != x or (x == 0.0 and copysign(1.0, x) < 0):
                return False  # a NaN is not itself, -0.0 equals 0.0
            signature += (kind, x)
        elif kind is tuple or kind is list:
            signature += (kind, len(x))
            if not read(x, leaves, signature):
                return False
        elif kind is slice:
            signature.append(kind)
            if not read((x.start, x.stop, x.step), leaves, signature):
                return False
        elif isinstance(x, (np.dtype, type)):
            signature += (np.dtype, x)
        else:
            return False
    return True


def _named(kwargs: dict[str, Any], leaves: list[Any], signature: list[Any]) -> bool:
    signature.append(tuple(kwargs))
    return read(kwargs.values(), leaves, signature)  # type: ignore[arg-type]


def _with(x: Any, leaves: Iterator[Any]) -> Any:
    """The argument with its arrays replaced, in the order of `read`."""
    kind = type(x)
    if kind is Array:
        return next(leaves)
    if kind is tuple or kind is list:
        return kind([_with(v, leaves) for v in x])
    if kind is slice:
        return slice(*[_with(v, leaves) for v in (x.start, x.stop, x.step)])
    return x


# ---------------------------------------------------------------- recording


def record(function: Any, args: Any, kwargs: Any, leaves: list[Any]) -> Any:
    """The function's equations for arguments like these as a Program; None where there are none
    to be had: it needs values, gives something else than arrays, warns, or has effects.
    """
    tree: Any = None

    def flat(*tracers: Any) -> list[Any]:
        nonlocal tree
        given = iter(tracers)
        new_args = [_with(x, given) for x in args]
        out = function(*new_args, **{k: _with(v, given) for k, v in kwargs.items()})
        values, tree = tree_flatten(out)
        if not all(type(v) is Array or isinstance(v, core.Tracer) for v in values):
            raise TypeError("a result is no array")
        return values

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            jaxpr, consts = core.trace_to_jaxpr(flat, [x.aval for x in leaves])
        return Program(ClosedJaxpr(jaxpr, consts), tree)
    except Exception:  # the ordinary path raises it again, where it is one of the user's
        return None


class Program:
    """Equations as NumPy calls on numbered values: constants, then the arguments, then results."""

    __slots__ = ("consts", "finish", "one", "out", "steps")

    def __init__(self, closed: ClosedJaxpr, tree: Any):
        jaxpr = dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), True)[0]
        known: dict[Any, np.ndarray] = {}  # variables and literals whose values are here already
        for j in _all_jaxprs(jaxpr):
            for a in (*(a for e in j.eqns for a in e.invars), *j.outvars):
                if isinstance(a, Literal):
                    known[_key(a)] = np.asarray(a.val, a.aval.dtype)
        for v, c in zip(jaxpr.constvars, closed.consts, strict=True):
            known[v] = _frozen(core.as_aval(to_numpy(c), v.aval))
        eqns = _folded(_inlined(jaxpr.eqns, same := {}), known, same)
        places = {key: k for k, key in enumerate((*known, *jaxpr.invars))}
        self.consts = list(known.values())
        self.steps: list[tuple[Any, list[int], dict[str, Any], int, tuple[np.dtype, ...]]] = []
        for rule, ins, eqn in eqns:
            for v in eqn.outvars:
                places[v] = len(places)
            count = len(eqn.outvars) if eqn.primitive.multiple_results else 0
            dtypes = tuple(v.aval.dtype for v in eqn.outvars)
            self.steps.append((rule, [places[k] for k in ins], eqn.params, count, dtypes))
        outs = [_key(same.get(a, a)) for a in jaxpr.outvars]
        self.out = [(places[k], a.aval.weak_type) for k, a in zip(outs, jaxpr.outvars)]
        self.finish = None if tree.is_leaf() else tree.unflatten
        self.one = None
        if len(self.steps) == 1 and self.finish is None and not self.consts:
            rule, ins, params, count, dtypes = self.steps[0]
            ((out, weak),) = self.out
            if out == len(jaxpr.invars) and not count:
                self.one = partial(rule, **params) if params else rule, ins, dtypes[0], weak

    def __call__(self, leaves: Sequence[Any]) -> Any:
        env = [x._host if x._host is not None else to_numpy(x) for x in leaves]
        if self.one is not None:
            rule, ins, dtype, weak = self.one
            out = silently(rule, *[env[k] for k in ins])
            if type(out) is not np.ndarray or out.dtype is not dtype:
                out = _as(out, dtype)
            return Array(out, weak)
        env = [*self.consts, *env]
        silently(self._run, env)
        if self.finish is None:
            ((place, weak),) = self.out
            return Array(env[place], weak)
        return self.finish([Array(env[place], weak) for place, weak in self.out])

    def _run(self, env: list[Any]) -> None:
        for rule, ins, params, count, dtypes in self.steps:
            out = rule(*[env[k] for k in ins], **params)
            if count:
                env += map(_as, out, dtypes)
            elif type(out) is np.ndarray and out.dtype is dtypes[0]:
                env.append(out)
            else:
                env.append(_as(out, dtypes[0]))


def _frozen(x: np.ndarray) -> np.ndarray:
    """The array as results of many calls may share it."""
    x = x.view()
    x.flags.writeable = False
    return x


def _as(x: Any, dtype: np.dtype) -> np.ndarray:
    x = np.asarray(x)
    return x if x.dtype == dtype else x.astype(dtype)


def _key(a: Any) -> Any:
    return id(a) if isinstance(a, Literal) else a


def _folded(
    eqns: Iterator[JaxprEqn], known: dict[Any, np.ndarray], same: dict[Any, Any]
) -> list[tuple[Any, list[Any], JaxprEqn]]:
    """Rule, operands and equation of each that depends on an argument; the results of the others,
    if small, join `known`.
    """
    found = []
    for eqn in eqns:
        rule = eqn.primitive.rule("numpy")
        ins = [_key(same.get(a, a)) for a in eqn.invars]
        small = all(v.aval.size * v.aval.dtype.itemsize <= _FOLDED for v in eqn.outvars)
        if small and all(k in known for k in ins):
            out = silently(lambda r=rule, i=ins, e=eqn: r(*[known[k] for k in i], **e.params))
            outs = out if eqn.primitive.multiple_results else (out,)
            for v, o in zip(eqn.outvars, outs, strict=True):
                known[v] = _frozen(_as(o, v.aval.dtype))
        else:
            found.append((rule, ins, eqn))
    return found


_CALLS = frozenset(("custom_jvp_call", "custom_vjp_call"))


def _body(eqn: JaxprEqn) -> Jaxpr:
    closed = eqn.params["call_jaxpr"]
    if closed.consts:
        raise TypeError("a call with constants of its own")
    return closed.jaxpr


def _all_jaxprs(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    yield jaxpr
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in _CALLS:
            yield from _all_jaxprs(_body(eqn))


def _inlined(eqns: Sequence[JaxprEqn], same: dict[Any, Any]) -> Iterator[JaxprEqn]:
    """The equations, those of calls with custom derivatives among them; TypeError for what plain
    evaluation does otherwise than by a NumPy rule. `same` says which variables are others.
    """
    for eqn in eqns:
        p = eqn.primitive
        if p.name in _CALLS:
            body = _body(eqn)
            for v, a in zip(body.invars, eqn.invars, strict=True):
                same[v] = same.get(a, a)
            for inner in _inlined(body.eqns, same):  # a body that is called twice has new names
                outs = [Var(v.aval) for v in inner.outvars]
                ins = [same.get(a, a) for a in inner.invars]
                same.update(zip(inner.outvars, outs))
                yield JaxprEqn(ins, outs, inner.primitive, inner.params, inner.effects)
            for v, a in zip(eqn.outvars, body.outvars, strict=True):
                same[v] = same.get(a, a)
        elif p.evaluate is not None or "eval" in p.trace_rules or eqn.effects:
            raise TypeError(f"{p.name} is no NumPy rule")
        else:
            yield eqn


# ---------------------------------------------------------------- which functions

_NAMES = """
    abs absolute acos acosh add all allclose amax amin angle any arccos arccosh arcsin arcsinh
    arctan arctan2 arctanh argmax argmin argsort around asin asinh astype atan atan2 atanh
    atleast_1d atleast_2d atleast_3d bitwise_and bitwise_not bitwise_or bitwise_xor broadcast_to
    cbrt ceil clip column_stack concat concatenate conj conjugate convolve copysign cos cosh
    count_nonzero cross cumprod cumsum cumulative_prod cumulative_sum deg2rad degrees diag
    diagonal diff divide divmod dot dstack einsum equal exp exp2 expand_dims expm1 fabs flip
    fliplr flipud floor floor_divide fmax fmin fmod full_like greater greater_equal heaviside
    hstack hypot i0 imag inner interp invert isclose isfinite isinf isnan isneginf isposinf kron
    less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or
    logical_xor matmul matrix_transpose matvec max maximum mean median min minimum mod moveaxis
    multiply nan_to_num nanmax nanmean nanmin nansum negative not_equal ones_like outer
    permute_dims positive prod ptp quantile rad2deg radians ravel real reciprocal remainder
    reshape rint rollaxis rot90 round select sign signbit sin sinc sinh sort split sqrt square
    squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace
    transpose tril triu true_divide trunc unstack var vdot vecdot vecmat vstack where zeros_like
""".split()  # noqa: SIM905 (a list literal takes two hundred lines)
_MADE = ["arange", "empty", "eye", "full", "identity", "linspace", "ones", "zeros"]
_VALUES = ("float_power", "pow", "power", "roll")  # 0-d arrays decide what these compute


def install(namespace: dict[str, Any]) -> None:
    """Put the recorded forms in the place of the functions of fx.numpy."""
    replace(namespace, [*_NAMES, *_MADE])
    replace(namespace, _VALUES, scalars=False)


def replace(namespace: dict[str, Any], names: Sequence[str], scalars: bool = True) -> None:
    """Put recorded forms in the place of a module's functions (and of ufuncs' calls)."""
    for name in names:
        found = namespace[name]
        if hasattr(found, "_call"):
            found._call = _quick(name, recorded(found._call, scalars))
        else:
            namespace[name] = _quick(name, recorded(found, scalars))


def _quick(name: str, call: Any) -> Any:
    """Where fx.numpy.fast has the operation: that first."""
    alone = fast.UNARY.get(name)
    if alone is not None:

        @wraps(call)
        def quick_alone(x: Any, /) -> Any:
            if type(x) is Array:
                out = alone(x)
                if out is not fast.MISS:
                    return out
            return call(x)

        return quick_alone
    entry = fast.FUNCTIONS.get(name)
    if entry is None:
        return call
    operation, dtypes, compares = entry
    first = fast.binary(operation, dtypes, compares, reverse=False)

    @wraps(call)
    def quick(x: Any, y: Any, /) -> Any:
        if type(x) is Array:
            out = first(x, y)
            if out is not fast.MISS:
                return out
        return call(x, y)

    return quick
