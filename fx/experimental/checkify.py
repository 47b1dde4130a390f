"""Checks inside traced code: `check` states a condition, `checkify` turns failed ones to a value.

`checkify(f)` traces f and evaluates its jaxpr with an error state beside the values: whether a
check failed, the number of the first that did, and what its message needs. The state runs through
jit, cond, scan and while as one more carry. Sites of checks are found before evaluation, so that
the state has one structure throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

import numpy as np

import fx.numpy as fnp
from fx import lax
from fx.avals import ShapedArray, is_inexact
from fx.core import ClosedJaxpr, JaxprEqn, Literal, get_aval, is_array_value, is_undefined
from fx.core import Zero as Zero
from fx.jaxpr import Effect
from fx.jit import jit
from fx.prims.registry import Case, primitive
from fx.trace import make_jaxpr
from fx.tree_util import register_pytree_node, tree_flatten

__all__ = [
    "DivisionByZeroError",
    "Error",
    "FailedCheckError",
    "JaxRuntimeError",
    "NaNError",
    "OOBError",
    "all_checks",
    "automatic_checks",
    "check",
    "check_error",
    "checkify",
    "debug_check",
    "div_checks",
    "float_checks",
    "index_checks",
    "init_error",
    "nan_checks",
    "user_checks",
]


class JaxException(Exception):
    """What a failed check amounts to."""


class JaxRuntimeError(ValueError):
    """A check failed: raised by `Error.throw` and by checks that run at once."""


class FailedCheckError(JaxException):
    """A condition given to `check` did not hold; the message is the user's."""


class NaNError(JaxException):
    """A primitive gave NaN; the message names it."""


class DivisionByZeroError(JaxException):
    """A divisor was zero, of a float or integer division."""


class OOBError(JaxException):
    """An index lay outside its array; the message says which axis."""


ErrorCategory = type[JaxException]
user_checks = frozenset({FailedCheckError})
nan_checks = frozenset({NaNError})
div_checks = frozenset({DivisionByZeroError})
index_checks = frozenset({OOBError})
float_checks = nan_checks | div_checks
automatic_checks = float_checks | index_checks
all_checks = automatic_checks | user_checks


# ---------------------------------------------------------------- sites and errors


class Site:
    """One place where a check may fail: the class of error, its message of payload arrays."""

    def __init__(
        self, kind: ErrorCategory, text: Callable[..., str], payload: Sequence[ShapedArray]
    ):
        self.kind, self.text, self.payload = kind, text, tuple(payload)

    def blank(self) -> tuple[Any, ...]:
        """Zeros in place of the payload."""
        return tuple(fnp.zeros(a.shape, a.dtype) for a in self.payload)


class Error:
    """Whether a check failed, and which was the first; a tree of arrays, so jit may return it."""

    def __init__(self, sites: tuple[Site, ...], failed: Any, code: Any, payload: Any):
        self._sites, self._failed, self._code, self._payload = sites, failed, code, payload

    def _update(self, site: Site, ok: Any, payload: Sequence[Any]) -> Error:
        """The error after a check whose condition is `ok`."""
        k = self._sites.index(site)
        first = ~ok & ~self._failed
        held = list(self._payload)
        held[k] = tuple(
            fnp.where(first, new, old) for new, old in zip(payload, held[k], strict=True)
        )
        code = fnp.where(first, np.int32(k), self._code)
        return Error(self._sites, self._failed | ~ok, code, tuple(held))

    def _exception(self, place: tuple[int, ...] = ()) -> JaxException | None:
        if not self._failed[place]:
            return None
        k = int(self._code[place])
        site = self._sites[k]
        return site.kind(site.text(*(np.asarray(p[place]) for p in self._payload[k])))

    def get_exception(self) -> JaxException | None:
        """The exception of the first check that failed, or None."""
        places = np.ndindex(*np.shape(self._failed))
        found = [(p, self._exception(p)) for p in places]
        failed = [(p, e) for p, e in found if e is not None]
        if not failed or not failed[0][0]:
            return failed[0][1] if failed else None
        lines = [f"at mapped index {', '.join(map(str, p))}: {e}" for p, e in failed]
        return type(failed[0][1])("\n".join(lines))

    def get(self) -> str | None:
        """The message of the first check that failed, or None."""
        found = self.get_exception()
        return None if found is None else str(found)

    def throw(self) -> None:
        """Raise JaxRuntimeError with the message of the first check that failed, if one did."""
        found = self.get()
        if found is not None:
            raise JaxRuntimeError(found)

    def __str__(self) -> str:
        return f"Error({self.get()})"

    def __repr__(self) -> str:
        return str(self)


register_pytree_node(
    Error,
    lambda e: ((e._failed, e._code, e._payload), e._sites),
    lambda sites, children: Error(sites, *children),
)


def _no_error(sites: tuple[Site, ...]) -> Error:
    blank = tuple(s.blank() for s in sites)
    return Error(sites, fnp.asarray(False), fnp.asarray(np.int32(-1)), blank)


init_error = _no_error(())


# ---------------------------------------------------------------- check


class _CheckEffect(Effect):
    of_the_taken = True

    def __repr__(self) -> str:
        return "Check"


class NotFunctionalizedError(ValueError):
    """A check was compiled without `checkify` around it."""


def _lower(b: Any, *nodes: Any, debug: bool, **params: Any) -> Any:
    if debug:
        return []
    raise NotFunctionalizedError(
        "Cannot abstractly evaluate a checkify.check which was not functionalized. This probably "
        "means you tried to stage (jit/scan/...) a `check` without functionalizing it through "
        "`checkify.checkify`."
    )


def _numpy(ok: Any, *payload: Any, site: Site, debug: bool) -> list[Any]:
    if not debug and not ok:
        raise JaxRuntimeError(site.text(*payload))
    return []


def _batch(axis: Any, args: Any, dims: Any, *, site: Site, debug: bool) -> Any:
    """One check of all examples, with the payload of the last that fails."""
    ok, *payload = (
        x if d is None else fnp.moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True)
    )
    if dims[0] is None:
        return check_p.bind(ok, *(p if d is None else p[0] for p, d in zip(payload, dims[1:])),
                            site=site, debug=debug), []  # fmt: skip
    last = ok.shape[0] - 1 - fnp.argmin(ok[::-1])
    chosen = [p if d is None else p[last] for p, d in zip(payload, dims[1:])]
    return check_p.bind(fnp.all(ok), *chosen, site=site, debug=debug), []


def _cases() -> list[Any]:
    def checked(x: Any) -> Any:
        check(fnp.all(x < 9), "{}", fnp.sum(x))
        return x * x

    return [Case((s,), call=lambda x: checkify(checked)(x)[1]) for s in ((2, 3), (), (0, 3))]


check_p = primitive(
    "check",
    "States that its first operand holds; `checkify` makes an error value of it.",
    multiple_results=True,
    abstract=lambda *avals, **params: [],
    numpy=_numpy,
    jvp=lambda primals, tangents, **params: (check_p.bind(*primals, **params), []),
    transpose=lambda cts, *args, **params: [
        Zero(x.aval.to_tangent_aval()) if is_undefined(x) else None for x in args
    ],
    batch=_batch,
    lower=_lower,
    effects=lambda *avals, **params: frozenset([_CheckEffect()]),
    cases=_cases,
)


def check(pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any) -> None:
    """State that the scalar `pred` is true; `msg` is formatted with the arrays given.

    Run at once, a false one raises JaxRuntimeError. In traced code `checkify` must be around it.
    With debug=True it is only looked at under `checkify`.

    >>> check(2 > 1, "never seen")
    """
    if not is_array_value(pred) or get_aval(pred).dtype != np.bool_:
        raise TypeError(f"checkify.check expects a boolean pred argument, got {pred!r}")
    if get_aval(pred).shape:
        raise TypeError(f"checkify.check expects a scalar pred argument, got {pred!r}")
    leaves, tree = tree_flatten((fmt_args, fmt_kwargs))
    for x in leaves:
        if not is_array_value(x):
            raise TypeError(
                "Formatting arguments to checkify.check need to be PyTrees of arrays, but got "
                f"{x!r} of type {type(x)}."
            )

    def text(*payload: Any) -> str:
        args, kwargs = tree.unflatten(payload)
        return f"{msg.format(*args, **kwargs)} (`check` failed)"

    site = Site(FailedCheckError, text, [get_aval(x) for x in leaves])
    check_p.bind(pred, *leaves, site=site, debug=debug)


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """A check that only `checkify` looks at; without it nothing happens. Arguments as `check`'s."""
    check(pred, msg, *fmt_args, debug=True, **fmt_kwargs)


def check_error(error: Error) -> None:
    """State that `error` holds no error: raise it at once, or hand it to the `checkify` around."""
    if not isinstance(error, Error):
        raise ValueError(f"check_error needs an Error, got {type(error)}")
    leaves, tree = tree_flatten(error)

    def text(*payload: Any) -> str:
        found: Any = tree.unflatten(payload)
        return str(found.get())

    site = Site(FailedCheckError, text, [get_aval(x) for x in leaves])
    check_p.bind(~fnp.any(error._failed), *leaves, site=site, debug=False)


# ---------------------------------------------------------------- where checks are

_MOVES = frozenset(
    ("broadcast_in_dim", "reshape", "transpose", "squeeze", "slice", "rev", "concatenate", "pad")
    + ("convert_element_type", "copy", "stop_gradient", "select_n", "gather", "dynamic_slice")
    + ("name", "real", "imag")
)
_INDEXED = ("gather", "dynamic_slice", "dynamic_update_slice")


class _Sites:
    """The sites of every equation of a jaxpr and of those inside it."""

    def __init__(self, errors: frozenset, closed: ClosedJaxpr):
        self.errors = errors
        self.of: dict[int, list[tuple[str, Site]]] = {}
        self.all: list[Site] = []
        self.read(closed)

    def read(self, closed: ClosedJaxpr) -> None:
        """Find the sites of the jaxpr's equations."""
        for eqn in closed.jaxpr.eqns:
            if id(eqn) in self.of:
                continue
            found = self.of[id(eqn)] = list(self.sites(eqn))
            self.all += [s for _, s in found if s not in self.all]
            for inner in _inner(eqn):
                self.read(inner)

    def has(self, closed: ClosedJaxpr) -> bool:
        """Whether anything is checked in the jaxpr."""
        return any(self.of[id(e)] or any(self.has(i) for i in _inner(e)) for e in closed.jaxpr.eqns)

    def sites(self, eqn: JaxprEqn) -> Iterator[tuple[str, Site]]:
        """What is checked about one equation."""
        name = eqn.primitive.name
        if name == "check":
            if FailedCheckError in self.errors:
                yield "check", eqn.params["site"]
            return
        if any(True for _ in _inner(eqn)):
            return
        if OOBError in self.errors and (name in _INDEXED or name.startswith("scatter")):
            shape = eqn.invars[0].aval.shape
            counts = [ShapedArray((), np.dtype(np.int32))] * 3
            yield "index", Site(OOBError, lambda i, axis, size: (
                f"out-of-bounds indexing for array of shape {shape}: index {i} is out of bounds "
                f"for axis {axis} with size {size}. "
            ), counts)  # fmt: skip
        if DivisionByZeroError in self.errors and name in ("div", "rem"):
            yield "zero", Site(DivisionByZeroError, lambda: "division by zero", ())
        floats = any(is_inexact(v.aval.dtype) for v in eqn.outvars)
        if NaNError in self.errors and floats and name not in _MOVES:
            yield "nan", Site(NaNError, lambda: f"nan generated by primitive: {name}.", ())


def _inner(eqn: JaxprEqn) -> Iterator[ClosedJaxpr]:
    for value in eqn.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, ClosedJaxpr):
                yield item


def _index_check(eqn: JaxprEqn, args: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """Whether all indices are inside, and an index that is not, its axis and that axis's size."""
    shape, name, params = get_aval(args[0]).shape, eqn.primitive.name, eqn.params
    if name == "dynamic_slice":
        starts, sizes = fnp.stack(args[1:]), params["slice_sizes"]
        axes: Any = range(len(shape))
    elif name == "dynamic_update_slice":
        starts, sizes, axes = fnp.stack(args[2:]), get_aval(args[1]).shape, range(len(shape))
    else:
        numbers = params["dimension_numbers"]
        starts = fnp.moveaxis(args[1], -1, 0)
        if name == "gather":
            axes, sizes = numbers.start_index_map, params["slice_sizes"]
        else:
            axes, sizes = numbers.scatter_dims_to_operand_dims, _scatter_sizes(args, numbers)
    axes = np.array(list(axes), np.int32)
    if not axes.size or not starts.size:
        return fnp.asarray(True), (np.int32(0),) * 3
    spread = (-1, *[1] * (starts.ndim - 1))
    extents = np.array([shape[a] for a in axes], np.int32)
    limit = extents - np.array([sizes[a] for a in axes], np.int32)
    outside = (starts < 0) | (starts > limit.reshape(spread))
    where = fnp.argmax(outside.ravel())
    axis = where // (starts.size // len(axes))
    payload = starts.ravel()[where].astype(np.int32), fnp.asarray(axes)[axis]
    return ~fnp.any(outside), (*payload, fnp.asarray(extents)[axis])


def _scatter_sizes(args: Sequence[Any], numbers: Any) -> dict[int, int]:
    """How many entries of each operand axis one update covers."""
    skipped = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    window = [d for d in range(get_aval(args[0]).ndim) if d not in skipped]
    updates = get_aval(args[2]).shape
    sizes = dict.fromkeys(skipped, 1)
    sizes |= {d: updates[u] for d, u in zip(window, numbers.update_window_dims, strict=True)}
    return sizes


# ---------------------------------------------------------------- evaluation with an error


def _evaluate(sites: _Sites, closed: ClosedJaxpr, error: Error, args: Sequence[Any]) -> Any:
    """(error, outputs) of the jaxpr, its equations bound one by one."""
    jaxpr = closed.jaxpr
    env: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else env[atom]

    for eqn in jaxpr.eqns:
        values = [read(a) for a in eqn.invars]
        for what, site in sites.of[id(eqn)]:
            if what == "check":
                error = error._update(site, values[0], values[1:])
            elif what == "index":
                error = error._update(site, *_index_check(eqn, values))
            elif what == "zero":
                error = error._update(site, fnp.all(fnp.asarray(values[1]) != 0), ())
        if eqn.primitive is check_p:
            continue
        error, outs = _apply(sites, eqn, error, values)
        for what, site in sites.of[id(eqn)]:
            if what == "nan":
                bad = [fnp.any(fnp.isnan(o)) for o in outs if is_inexact(get_aval(o).dtype)]
                error = error._update(site, ~fnp.any(fnp.stack(bad)), ())
        env.update(zip(eqn.outvars, outs, strict=True))
    return error, [read(a) for a in jaxpr.outvars]


def _apply(sites: _Sites, eqn: JaxprEqn, error: Error, args: list[Any]) -> Any:
    """(error, outputs) of one equation; those that hold jaxprs with checks have rules."""
    if any(sites.has(c) for c in _inner(eqn)):
        rule = _RULES.get(eqn.primitive.name)
        if rule is None:
            inner = next(_inner(eqn))
            if len(inner.jaxpr.invars) != len(args):
                raise NotImplementedError(f"checkify: no rule for checks inside {eqn.primitive}")
            return _evaluate(sites, inner, error, args)
        return rule(sites, error, args, **eqn.params)
    out = eqn.primitive.bind(*args, **eqn.params)
    return error, out if eqn.primitive.multiple_results else [out]


def _jit_rule(sites: _Sites, error: Error, args: Any, *, jaxpr: ClosedJaxpr, **params: Any) -> Any:
    return jit(lambda error, *a: _evaluate(sites, jaxpr, error, a))(error, *args)


def _cond_rule(sites: _Sites, error: Error, args: Any, *, branches: Any, **params: Any) -> Any:
    def branch(closed: ClosedJaxpr) -> Callable[..., Any]:
        return lambda error, *a: _evaluate(sites, closed, error, a)

    return lax.switch(args[0], [branch(c) for c in branches], error, *args[1:])


def _scan_rule(
    sites: _Sites, error: Error, args: Any, *, jaxpr: ClosedJaxpr, num_consts: int, num_carry: int,
    length: int, reverse: bool, **params: Any,
) -> Any:  # fmt: skip
    consts, rest = args[:num_consts], args[num_consts:]

    def body(carry: Any, xs: Any) -> Any:
        error, outs = _evaluate(sites, jaxpr, carry[0], [*consts, *carry[1], *xs])
        return (error, outs[:num_carry]), outs[num_carry:]

    start = error, list(rest[:num_carry])
    (error, carry), ys = lax.scan(body, start, list(rest[num_carry:]), length, reverse)
    return error, [*carry, *ys]


def _while_rule(
    sites: _Sites, error: Error, args: Any, *, cond_jaxpr: ClosedJaxpr, cond_nconsts: int,
    body_jaxpr: ClosedJaxpr, body_nconsts: int, **params: Any,
) -> Any:  # fmt: skip
    test_consts = args[:cond_nconsts]
    body_consts = args[cond_nconsts : cond_nconsts + body_nconsts]

    def tested(error: Error, values: Any) -> Any:
        error, (more,) = _evaluate(sites, cond_jaxpr, error, [*test_consts, *values])
        return error, more, values

    def body(carry: Any) -> Any:
        error, _, values = carry
        error, values = _evaluate(sites, body_jaxpr, error, [*body_consts, *values])
        return tested(error, values)

    start = tested(error, list(args[cond_nconsts + body_nconsts :]))
    error, _, values = lax.while_loop(lambda carry: carry[1], body, start)
    return error, values


_RULES: dict[str, Any] = {
    "jit": _jit_rule,
    "cond": _cond_rule,
    "scan": _scan_rule,
    "while": _while_rule,
}


def checkify(
    f: Callable[..., Any], errors: frozenset[ErrorCategory] = user_checks
) -> Callable[..., tuple[Error, Any]]:
    """A function that returns (error, f's output) and raises nothing for failed checks.

    errors: which to look for: `user_checks` (calls of `check`), `nan_checks`, `div_checks`,
    `index_checks`, or unions of them. `error.get()` is the message of the first, or None;
    `error.throw()` raises it. May be jitted, mapped and differentiated.

    >>> import fx.numpy as fnp
    >>> error, _ = checkify(fnp.log, errors=nan_checks)(-1.0)
    >>> error.get()
    'nan generated by primitive: log.'
    """

    @wraps(f, updated=())
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        closed, shapes = make_jaxpr(f, return_shape=True)(*args, **kwargs)
        sites = _Sites(frozenset(errors), closed)
        leaves, _ = tree_flatten((args, kwargs))
        error, outs = _evaluate(sites, closed, _no_error(tuple(sites.all)), leaves)
        return error, tree_flatten(shapes)[1].unflatten(outs)

    return checked
