"""`jit`: trace once per signature, compile, and call at the speed of a dictionary lookup.

A signature is the tree structure, the avals (interned, so they hash at C speed), the static
values and the configuration. All `jit` of one function share its entries. Closed-over arrays
become hidden arguments; closed-over tracers of outer transformations become operands of the `jit`
equation, and such an entry is not kept.
"""

from __future__ import annotations

import inspect
import types
import weakref
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from fx import array, core, ref_loops
from fx.config import config
from fx.core import EVAL, ClosedJaxpr, DebugInfo, Tracer, get_aval, state
from fx.debug_checks import check_outputs
from fx.executable import Runner, evaluate_jit, runner_for
from fx.flatten import (
    argument_names,
    check_callable,
    flatten_function,
    index_tuple,
    name_after,
    name_of,
)
from fx.jit_rules import jit_p
from fx.passes import hoist_consts
from fx.reading import read_tree, reading_order
from fx.refs import live
from fx.sharding import check_shardings
from fx.tree_util import tree_flatten

jit_p.trace_rules["eval"] = evaluate_jit
OTHER: Any = object()
"""What a written call gives for arguments of another signature."""

WRITE_AFTER = 500
"""Calls of a signature until its calls are written out (fx.hot): that takes as long."""

_DEVICE_OF = array.__dict__  # read on the hot path: array's `_default`


class Entry:
    """One traced signature: the jaxpr without constants, the constants, the output's structure."""

    __slots__ = ("closed", "consts", "donated", "name", "names", "out_tree", "params", "single")

    def __init__(self, closed: ClosedJaxpr, consts: list[Any], out_tree: Any, params: dict):
        self.closed = closed
        self.consts = consts
        self.out_tree = out_tree
        self.single = out_tree.is_leaf()
        self.params = params
        self.donated = params["donated"]
        self.name = params["name"]

    def finish(self, outs: list[Any]) -> Any:
        return outs[0] if self.single else self.out_tree.unflatten(outs)


class Hit:
    """A signature's hot path: compiled for the device it was first called on.

    `order` puts the leaves that the call has read in the runner's order; None: they are so. Once
    it has been called `WRITE_AFTER` times its calls are written out (fx.hot): `written` takes
    (args, kwargs), or `launch` the leaves of trees that only the tree library can read.
    """

    __slots__ = (
        *("call", "consts", "launch", "left", "order", "runner", "single", "unflatten", "written"),
    )

    def __init__(self, entry: Entry, runner: Runner):
        self.call, self.runner = runner.direct_call(), runner
        self.consts = tuple(entry.consts)
        self.order: Any = None
        self.single, self.unflatten = entry.single, entry.out_tree.unflatten
        self.left = WRITE_AFTER
        self.written: Any = None
        self.launch: Any = None

    def call_with(self, leaves: Sequence[Any]) -> Any:
        """The call, not written out."""
        if self.order is not None:
            leaves = self.order(leaves)
        outs = self.call((*self.consts, *leaves) if self.consts else leaves)
        return outs[0] if self.single else self.unflatten(outs)

    def write(self, leaves: Sequence[Any], read: bool, args: Any, kwargs: Any) -> Any:
        """A call whose results show how they are built: later ones are written out. `read`: the
        leaves came from (args, kwargs) without the tree library.
        """
        from fx import hot

        ordered = leaves if self.order is None else self.order(leaves)
        outs = self.call((*self.consts, *ordered))
        result = outs[0] if self.single else self.unflatten(outs)
        if read:
            self.written = hot.of_arguments(self, args, kwargs, outs, result)
        else:
            self.launch = hot.of_leaves(self, leaves, outs, result)
        return result


class Caches:
    """What all `jit(fun)` with equal options share, while `fun` lives."""

    __slots__ = ("entries", "hits", "written")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self.hits: dict[Any, Hit] = {}  # what a call without transformations finds
        self.entries: dict[Any, Entry] = {}  # what has been traced
        self.written: Any = None  # the last call's, if its signature is written out


_ALL: weakref.WeakSet[Jitted] = weakref.WeakSet()  # every jitted function, for clear_caches
_CACHES: weakref.WeakKeyDictionary[Any, dict] = weakref.WeakKeyDictionary()


def _caches(fun: Callable[..., Any], options: Any) -> Caches:
    try:
        return _CACHES.setdefault(fun, {}).setdefault(options, Caches())
    except TypeError:  # no hash, or no weak references
        return Caches()


def clear_caches() -> None:
    """Forget what every jitted function has traced and compiled, with its programs; what is on disk
    stays.
    """
    for jitted in list(_ALL):
        jitted.clear_cache()
    _CACHES.clear()  # what functions have kept whose jitted forms are gone
    array.forget_programs()


class Jitted:
    """A function compiled by `jit`; call it, or look at its stages with trace, lower,
    eval_shape.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        donate_argnums: tuple[int, ...],
        donate_argnames: tuple[str, ...],
        keep_unused: bool,
        inline: bool,
        device: Any,
    ):
        name_after(self, fun)
        self.fun = fun
        self.static_argnums, self.static_argnames = static_argnums, static_argnames
        self.donate_argnums, self.donate_argnames = donate_argnums, donate_argnames
        self.keep_unused, self.inline = keep_unused, inline
        self.device = device
        self.name = name_of(fun)
        options = (static_argnums, static_argnames, donate_argnums, donate_argnames)
        self._caches = _caches(fun, (*options, keep_unused, inline, device))
        _ALL.add(self)
        self._plain = not static_argnums and not static_argnames and device is None
        self._refs: Any = None  # made at the first call while refs exist
        self._last: Any = None  # signature of the last trace, for log_compiles

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        written = self._caches.written
        if written is not None and (out := written(args, kwargs)) is not OTHER:
            return out
        if live and not config.disable_jit and (found := self._with_refs(args, kwargs)) is not None:
            return found[0]
        if state.trace is EVAL and self._plain:
            leaves: list[Any] = []
            key: list[Any] = [config.token(), _DEVICE_OF["_default"], len(args)]
            plain = read_tree((*args, kwargs) if kwargs else args, leaves, key)
            if plain:
                hit = self._caches.hits.get(tuple(key))
            else:
                leaves, tree = tree_flatten((args, kwargs))
                name = self.name
                key = [*key[:3], tree, *[_aval(a, name) for a in leaves]]
                hit = self._caches.hits.get(tuple(key))
            if hit is not None:
                hit.left -= 1
                if not hit.left:
                    return hit.write(leaves, plain, args, kwargs)
                if hit.written is not None:
                    self._caches.written = hit.written
                return (hit.launch or hit.call_with)(leaves)
        return self._call(args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<jitted {self.name}>"

    # ------------------------------------------------------------ the slow path

    def _with_refs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A tuple of the result where the function touches refs, else None."""
        if self._refs is None:
            nums = tuple(n + 1 for n in self.static_argnums)
            donated = tuple(n + 1 for n in self.donate_argnums)
            rest = (self.donate_argnames, self.keep_unused, self.inline, self.device)
            again = lambda f: Jitted(f, nums, self.static_argnames, donated, *rest)  # noqa: E731
            self._refs = ref_loops.JittedWithRefs(self.fun, again)
        return self._refs(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if config.disable_jit:
            return self.fun(*args, **kwargs)
        entry, leaves, tree = self._entry(args, kwargs)
        operands = [*entry.consts, *leaves]
        if state.trace is not EVAL or any(isinstance(a, Tracer) for a in operands):
            return entry.finish(jit_p.bind(*operands, **entry.params))
        device = array.default_device() if self.device is None else array.find_device(self.device)
        runner = runner_for(entry.closed, entry.donated, device, entry.name)
        if config.debug_nans or config.debug_infs:
            outs = runner(operands)
            check_outputs(entry.closed, operands, outs, entry.name)
            return entry.finish(outs)
        if self._plain:
            self._remember(Hit(entry, runner), args, kwargs, leaves, tree)
        return entry.finish(runner(operands))

    def _remember(self, hit: Hit, args: Any, kwargs: Any, leaves: list[Any], tree: Any) -> None:
        """Let the next call with this signature find `hit`."""
        found: list[Any] = []
        key = [config.token(), _DEVICE_OF["_default"], len(args)]
        if read_tree((*args, kwargs) if kwargs else args, found, key):
            order = reading_order(args, kwargs)
            if order != list(range(len(order))):
                hit.order = itemgetter(*order)
            self._caches.hits[tuple(key)] = hit
        else:
            self._caches.hits[(*key[:3], tree, *[get_aval(a) for a in leaves])] = hit

    def _entry(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Entry, list[Any], Any]:
        """The traced signature for these arguments, traced now if it is new; and the flat
        arguments.
        """
        dynamic, dynamic_kw, statics = self._split(args, kwargs)
        leaves, tree = tree_flatten((dynamic, dynamic_kw))
        avals = [_aval(a, self.name) for a in leaves]
        key = (config.token(), tuple(state.axes.items()), tree, statics, *avals)
        entry = self._caches.entries.get(key)
        if entry is None:
            if config.no_tracing:
                raise RuntimeError(
                    f"re-tracing function {self.name} for `jit`, but 'no_tracing' is set"
                )
            self._explain(key, args, kwargs, avals)
            entry = self._trace(args, kwargs, leaves, tree, avals)
            core.check_leaks()
            if not any(isinstance(c, Tracer) for c in entry.consts):
                self._caches.entries[key] = entry
        return entry, leaves, tree

    def _split(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]:
        """Dynamic positional arguments, dynamic keyword arguments, and the static ones as a key."""
        if self._plain or not (self.static_argnums or self.static_argnames):
            return args, kwargs, ()
        nums = {n % len(args) for n in self.static_argnums if -len(args) <= n < len(args)}
        names = set(self.static_argnames) & kwargs.keys()
        statics = []
        for place in (*sorted(nums), *sorted(names)):
            value = args[place] if isinstance(place, int) else kwargs[place]
            try:
                hash(value)
            except TypeError:
                raise ValueError(
                    "Non-hashable static arguments are used in a jitted function: static argument "
                    f"{place!r} of {self.name} is of type {type(value)}, which has no hash. Static "
                    "arguments are part of the key of the compiled function; give a tuple for a "
                    "list."
                ) from None
            statics.append((place, type(value), value))
        dynamic = tuple(a for k, a in enumerate(args) if k not in nums)
        return dynamic, {k: v for k, v in kwargs.items() if k not in names}, tuple(statics)

    def _trace(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        leaves: list[Any],
        tree: Any,
        avals: list[Any],
    ) -> Entry:
        fun = self._with_statics(args, kwargs)
        flat_fun, out = flatten_function(fun, tree, kwargs=True)
        names = self._leaf_names(args, kwargs)
        info = DebugInfo(self.name, names)
        jaxpr, consts = core.trace_to_jaxpr(flat_fun, avals, names, info)
        closed, consts = hoist_consts(jaxpr, [_kept(c) for c in consts])
        params = {
            "jaxpr": closed,
            "name": self.name,
            "donated": (False,) * len(consts) + self._donated(args, kwargs),
            "inline": self.inline,
            "keep_unused": self.keep_unused,
        }
        return Entry(closed, consts, out.tree, params)

    def _with_statics(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
        """`fun` of the dynamic arguments alone."""
        if not (self.static_argnums or self.static_argnames):
            return self.fun
        nums = {n % len(args) for n in self.static_argnums if -len(args) <= n < len(args)}
        static_kw = {k: v for k, v in kwargs.items() if k in self.static_argnames}
        fun = self.fun

        def of_dynamic(*dynamic: Any, **dynamic_kw: Any) -> Any:
            rest = iter(dynamic)
            full = [args[k] if k in nums else next(rest) for k in range(len(args))]
            return fun(*full, **dynamic_kw, **static_kw)

        return name_after(of_dynamic, fun)

    def _blanked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list, dict]:
        """The arguments with the static ones replaced by None, which has no leaves."""
        nums = {n % len(args) for n in self.static_argnums if -len(args) <= n < len(args)}
        return (
            [None if k in nums else a for k, a in enumerate(args)],
            {k: None if k in self.static_argnames else v for k, v in kwargs.items()},
        )

    def _leaf_names(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        return argument_names(self.fun, *self._blanked(args, kwargs))

    def _donated(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, ...]:
        """One flag per leaf."""
        given, given_kw = self._blanked(args, kwargs)
        nums = {n % len(args) for n in self.donate_argnums if -len(args) <= n < len(args)}
        flags: list[bool] = []
        for k, a in enumerate(given):
            flags += [k in nums] * len(tree_flatten(a)[0])
        for key in sorted(given_kw):
            flags += [key in self.donate_argnames] * len(tree_flatten(given_kw[key])[0])
        return tuple(flags)

    def _explain(self, key: Any, args: Any, kwargs: Any, avals: list[Any]) -> None:
        """With log_compiles, say which argument made this call a new signature."""
        if not (config.log_compiles or config.explain_cache_misses):
            self._last = None
            return
        import logging  # 3 ms, and seldom asked for

        log = logging.getLogger("fx")
        names = self._leaf_names(args, kwargs)
        now = (key, dict(zip(names, avals)))
        if self._last is None:
            shown = ", ".join(f"{n}: {a.str_short()}" for n, a in now[1].items())
            log.warning("Compiling %s for (%s)", self.name, shown)
        else:
            log.warning("Compiling %s again: %s", self.name, _difference(self._last, now))
        self._last = now

    # ------------------------------------------------------------ stages

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """Trace on arguments (arrays or ShapeDtypeStructs) without compiling."""
        from fx.stages import Traced

        entry, leaves, tree = self._entry(args, kwargs)
        return Traced(self, entry, tree, [get_aval(a) for a in leaves])

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """Trace and lower to a Graph; `.compile()` gives the callable, `.as_text()` its text."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes and dtypes of the outputs."""
        from fx.trace import ShapeDtypeStruct

        entry, _, _ = self._entry(args, kwargs)
        outs = [
            ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type)
            for a in entry.closed.out_avals
        ]
        return entry.out_tree.unflatten(outs)

    def clear_cache(self) -> None:
        """Forget all traced and compiled signatures."""
        self._caches.clear()

    def _cache_size(self) -> int:
        return len(self._caches.entries)


def _kept(const: Any) -> Any:
    """A captured value as later calls see it: a NumPy array as it was when it was traced."""
    if not isinstance(const, np.ndarray):
        return const
    return array.from_numpy(np.array(array.to_numpy(const)))


def compile_graph(
    graph: Any, donated: Sequence[bool], device: Any, name: str, joins: bool = True
) -> Any:
    """The back end's executable; the back end is loaded at the first compilation."""
    from lowering.compile import compile

    return compile(graph, donated=tuple(donated), device=device, name=name, joins=joins)


def _aval(x: Any, name: str) -> Any:
    try:
        return get_aval(x)
    except TypeError as error:
        raise TypeError(
            f"Error interpreting argument to {name} as an abstract array: {error}. Arguments of "
            "jitted "
            "functions are arrays, numbers, or trees of them; mark others with static_argnums."
        ) from None


def _difference(last: Any, now: Any) -> str:
    """What changed between two signatures."""
    changes = []
    for name, aval in now[1].items():
        old = last[1].get(name)
        if old is None:
            changes.append(f"argument {name} is new")
        elif old is not aval:
            weak = " (weak type)" if aval.weak_type != old.weak_type else ""
            changes.append(
                f"argument {name} changed from {old.str_short()} to {aval.str_short()}{weak}"
            )
    changes += [f"argument {name} is gone" for name in last[1].keys() - now[1].keys()]
    if last[0][3] != now[0][3]:
        changes.append(f"static arguments changed from {last[0][3]} to {now[0][3]}")
    if not changes:
        changes.append("the configuration, the tree structure or the named axes changed")
    return "; ".join(changes)


# ---------------------------------------------------------------- the decorator


def jit(
    fun: Callable[..., Any] | None = None,
    /,
    *,
    in_shardings: Any = None,
    out_shardings: Any = None,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    keep_unused: bool = False,
    device: Any = None,
    backend: str | None = None,
    inline: bool = False,
    abstracted_axes: Any = None,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """Compile a function of arrays to fused kernels; it is traced once per signature.

    static_argnums/static_argnames: arguments that are Python values (hashable) and part of the
    signature. donate_argnums/donate_argnames: arguments whose memory the outputs may take over;
    they are deleted. inline: when traced inside another jit, write the body there. device: run
    there instead of the default device.

    >>> import fx
    >>> jit(lambda x, y: fx.numpy.exp(x + y) - x)(1.0, 2.0)
    Array(19.085537, dtype=float32, weak_type=True)
    """
    options = {
        "static_argnums": static_argnums,
        "static_argnames": static_argnames,
        "donate_argnums": donate_argnums,
        "donate_argnames": donate_argnames,
    }
    rest = {"keep_unused": keep_unused, "inline": inline, "device": device or backend}
    if in_shardings is not None or out_shardings is not None:
        check_shardings((in_shardings, out_shardings))
    if fun is None:
        return lambda f: jit(f, **options, **rest)
    check_callable(fun)
    if inspect.isgeneratorfunction(fun) or inspect.iscoroutinefunction(fun):
        raise TypeError(f"jit needs a plain function, got a generator or coroutine: {fun}")
    static = _positions(fun, static_argnums, static_argnames, "static")
    donate = _positions(fun, donate_argnums, donate_argnames, "donate")
    if set(static[0]) & set(donate[0]):
        raise ValueError(
            f"static_argnums {static[0]} and donate_argnums {donate[0]} of {name_of(fun)} overlap"
        )
    return Jitted(fun, *static, *donate, **rest)


def _positions(
    fun: Callable[..., Any], nums: Any, names: Any, what: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Positions and names of marked arguments, each completed from the other by the signature."""
    argnums = () if nums is None else index_tuple(nums, f"{what}_argnums")
    argnames = () if names is None else (names,) if isinstance(names, str) else tuple(names)
    if not argnums and not argnames:
        return (), ()
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        return argnums, argnames
    positional = [p.name for p in parameters if p.kind in (0, 1)]
    if not any(p.kind == 2 for p in parameters):
        for n in argnums:
            if not -len(positional) <= n < len(positional):
                raise ValueError(
                    f"jitted function {name_of(fun)} has {what}_argnums={argnums} but accepts only "
                    f"{len(positional)} positional arguments."
                )
    if not any(p.kind == 4 for p in parameters):
        for n in argnames:
            if n not in [p.name for p in parameters]:
                raise ValueError(
                    f"jitted function {name_of(fun)} has invalid argnames {{{n!r}}} in "
                    f"{what}_argnames. Function does not take these args."
                )
    if names is None:
        argnames = tuple(positional[n] for n in argnums if -len(positional) <= n < len(positional))
    elif nums is None:
        argnums = tuple(k for k, name in enumerate(positional) if name in argnames)
    return argnums, argnames
