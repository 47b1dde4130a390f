"""Jaxprs: variables, literals, equations, and the programs they make.

A jaxpr is a straight-line program in which each variable is bound once, before use. These are data
only: tracing makes them (fx.core), passes turn one into another (fx.passes, fx.jvp, fx.linearize,
fx.vmap), `fx.lower` turns them into a Graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from fx.avals import ShapedArray

if TYPE_CHECKING:
    from fx.core import Primitive

# ---------------------------------------------------------------- effects and source lines


class Effect:
    """Something an equation does besides computing its outputs; it is never dead code.

    `ordered` effects happen in program order. Those `of_the_taken` belong to the examples of a
    batch that come to them: a branch or a loop that has some goes example by example.
    """

    ordered = False
    of_the_taken = False


Effects = frozenset  # of a jaxpr or an equation


class NamedAxisEffect(Effect):
    """The equation reads a named axis; it says where a jaxpr may stand, and is no side effect."""

    def __init__(self, name: Any):
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedAxisEffect) and other.name == self.name

    def __hash__(self) -> int:
        return hash((NamedAxisEffect, self.name))

    def __repr__(self) -> str:
        return f"NamedAxis({self.name!r})"


def has_side_effects(effects: frozenset) -> bool:
    """Whether an equation with these effects must be kept though nothing reads its outputs."""
    return any(not isinstance(e, NamedAxisEffect) for e in effects)


class Source(NamedTuple):
    """The user's line that made an equation."""

    file: str
    line: int
    function: str
    scope: str = ""  # named_scope labels around it

    name_stack = property(lambda self: self.scope)
    traceback = property(lambda self: self)  # what `source_info_util.user_context` takes

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function})"


# ---------------------------------------------------------------- jaxprs


class Var:
    """A variable of a jaxpr; it is its identity."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval


class DropVar(Var):
    """An output that nothing reads; printed as `_`."""

    __slots__ = ()


class Literal:
    """A scalar constant written into the equation."""

    __slots__ = ("aval", "val")

    def __init__(self, val: Any, aval: ShapedArray):
        self.val = val
        self.aval = aval


Atom = Var | Literal


class EquationContext:
    """What was set around an equation when it was recorded; in fx nothing is, since settings that
    change results stand in its parameters.
    """

    @property
    def manager(self) -> Any:
        """A context manager that sets it again."""
        return nullcontext()


class JaxprEqn:
    """outvars = primitive[params] invars, with its effects and the user's line."""

    __slots__ = ("effects", "invars", "outvars", "params", "primitive", "source")

    def __init__(
        self,
        invars: list[Atom],
        outvars: list[Var],
        primitive: Primitive,
        params: dict[str, Any],
        effs: frozenset = frozenset(),
        source_info: Source | None = None,
        ctx: EquationContext | None = None,
    ):
        self.primitive = primitive
        self.invars = invars
        self.outvars = outvars
        self.params = params
        self.effects = effs
        self.source = source_info

    def __str__(self) -> str:
        return _printer[0](self)

    __repr__ = __str__

    source_info = property(lambda self: self.source)
    ctx = property(lambda self: EquationContext())

    def replace(
        self,
        invars: list[Atom] | None = None,
        outvars: list[Var] | None = None,
        primitive: Primitive | None = None,
        params: dict[str, Any] | None = None,
        effects: frozenset | None = None,
        source_info: Source | None = None,
        ctx: EquationContext | None = None,
    ) -> JaxprEqn:
        """The equation with some of its parts changed."""
        return JaxprEqn(
            self.invars if invars is None else invars,
            self.outvars if outvars is None else outvars,
            self.primitive if primitive is None else primitive,
            self.params if params is None else params,
            self.effects if effects is None else effects,
            self.source if source_info is None else source_info,
        )


class DebugInfo(NamedTuple):
    """Names for messages and prints: the function, its argument paths, its result paths."""

    name: str = "<unknown>"
    arg_names: tuple[str, ...] = ()
    result_paths: tuple[str, ...] = ()

    func_name = property(lambda self: self.name)
    func_src_info = property(lambda self: self.name)


NO_INFO = DebugInfo()


class Jaxpr:
    """A straight-line program: constvars and invars in, equations, outvars out.

    Each variable is bound once, before use.
    """

    __slots__ = ("__weakref__", "constvars", "debug_info", "effects", "eqns", "invars", "outvars")

    def __init__(
        self,
        constvars: Sequence[Var],
        invars: Sequence[Var],
        outvars: Sequence[Atom],
        eqns: Sequence[JaxprEqn],
        effects: frozenset | None = None,
        debug_info: DebugInfo | None = None,
    ):
        self.constvars: list[Var] = list(constvars)
        self.invars: list[Var] = list(invars)
        self.eqns: list[JaxprEqn] = list(eqns)
        self.outvars: list[Atom] = list(outvars)
        if effects is None:
            effects = frozenset().union(*(e.effects for e in self.eqns))
        self.effects: frozenset = effects
        self.debug_info: DebugInfo = debug_info or NO_INFO

    in_avals = property(lambda self: [v.aval for v in self.invars])
    out_avals = property(lambda self: [v.aval for v in self.outvars])

    def replace(self, **changes: Any) -> Jaxpr:
        """The jaxpr with some of its parts changed: constvars, invars, outvars, eqns, effects or
        debug_info. Names of arguments are dropped where the variables are others.
        """
        kept = {k: getattr(self, k) for k in self.__slots__[1:]}
        if any(changes.get(k, kept[k]) != kept[k] for k in ("invars", "outvars")):
            kept["debug_info"] = DebugInfo(self.debug_info.name)
        if unknown := changes.keys() - kept.keys():
            raise ValueError(f"Unknown keyword arguments: {sorted(unknown)}; a jaxpr has {[*kept]}")
        return Jaxpr(**kept | changes)

    def __str__(self) -> str:
        return _printer[0](self)

    __repr__ = __str__


class ClosedJaxpr:
    """A jaxpr with the values of its constvars: what `make_jaxpr` gives.

    `jaxpr` is the program, `consts` its constants, `in_avals` and `out_avals` its types.
    """

    __slots__ = ("__weakref__", "cache", "consts", "jaxpr")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Any] = ()):
        self.jaxpr = jaxpr
        self.consts = list(consts)
        self.cache: dict[Any, Any] = {}  # what passes derived from this jaxpr; dies with it

    in_avals = property(lambda self: [v.aval for v in self.jaxpr.invars])
    out_avals = property(lambda self: [v.aval for v in self.jaxpr.outvars])
    eqns = property(lambda self: self.jaxpr.eqns)
    effects = property(lambda self: self.jaxpr.effects)
    constvars = property(lambda self: self.jaxpr.constvars)
    invars = property(lambda self: self.jaxpr.invars)
    outvars = property(lambda self: self.jaxpr.outvars)
    debug_info = property(lambda self: self.jaxpr.debug_info)
    literals = property(lambda self: self.consts)

    def replace(
        self, *, jaxpr: Jaxpr | None = None, consts: Sequence[Any] | None = None
    ) -> ClosedJaxpr:
        """The closed jaxpr with another program or other constants."""
        return ClosedJaxpr(
            self.jaxpr if jaxpr is None else jaxpr, self.consts if consts is None else consts
        )

    def map_jaxpr(self, f: Callable[[Jaxpr], Jaxpr]) -> ClosedJaxpr:
        """The closed jaxpr of `f(jaxpr)` with the same constants."""
        return ClosedJaxpr(f(self.jaxpr), self.consts)

    def remember(self, key: Any, derived: Any) -> Any:
        """Keep what a pass derived, unless this jaxpr closes over values of one call."""
        if not any(hasattr(c, "_trace") for c in self.consts):
            self.cache[key] = derived
        return derived

    def __str__(self) -> str:
        return _printer[0](self.jaxpr)

    __repr__ = __str__


def last_uses(jaxpr: Jaxpr) -> dict[int, list[Var]]:
    """Equation index -> variables that nothing reads after it."""
    kept = {a for a in jaxpr.outvars if isinstance(a, Var)}
    last: dict[Var, int] = {}
    for k, eqn in enumerate(jaxpr.eqns):
        for a in (*eqn.invars, *eqn.outvars):
            if isinstance(a, Var) and a not in kept:
                last[a] = k
    found: dict[int, list[Var]] = {}
    for v, k in last.items():
        found.setdefault(k, []).append(v)
    return found


class UndefinedPrimal:
    """Stands in a transpose rule for an operand that the function is linear in."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)

    def __rmul__(self, other: Any) -> Any:
        raise not_linear("a product or quotient of two values that both depend")

    __rtruediv__ = __rmul__


def not_linear(what: str) -> NotImplementedError:
    """The error of a transpose rule that needs the value of an operand that is linear."""
    return NotImplementedError(
        f"{what} on the linear arguments: the function is not linear in them, or not step by step"
    )


def is_undefined(x: Any) -> bool:
    """Whether an operand of a transpose rule is one that the function is linear in.

    Such an operand has an aval and no value.
    """
    return type(x) is UndefinedPrimal


class AxisData(NamedTuple):
    """The axis that vmap maps over: its name (or None) and its size."""

    name: Any
    size: int


_printer: list[Callable[[Any], str]] = [lambda part: f"<a {type(part).__name__}>"]


def set_printer(printer: Callable[[Any], str]) -> None:
    """How jaxprs and equations print; fx.printer installs it."""
    _printer[0] = printer
