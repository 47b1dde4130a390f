"""A jitted function's call, written out for the signature that is called again and again.

In: a signature that was found many times, a call's arguments and results. Out: a Python function
without loops or look-ups, which tests that a call has this signature, launches, and builds the
results; or says OTHER, and nothing has happened. What cannot be written out is called as before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from fx import array, core, refs
from fx.array import Array
from fx.config import config
from fx.executable import output
from fx.jit import OTHER, Hit
from fx.reading import NUMBERS, is_named

LEAVES = 100
"""Arguments and results. Writing a function takes 0.1 ms a leaf."""


def of_arguments(
    hit: Hit, args: Sequence[Any], kwargs: dict[str, Any], outs: Sequence[Any], result: Any
) -> Callable[[tuple, dict], Any] | None:
    """The function of (args, kwargs) for calls like this one, which gave `outs` as `result`."""
    function = _Function(hit)
    function.test(args, kwargs)
    return function.compiled(outs, result)


def of_leaves(
    hit: Hit, leaves: Sequence[Any], outs: Sequence[Any], result: Any
) -> Callable[[Sequence[Any]], Any] | None:
    """The function of the leaves of calls with this signature, whose avals have been tested."""
    function = _Function(hit)
    return function.compiled(outs, result) if function.unpack(leaves) else None


@lru_cache(maxsize=256)
def _code(text: str) -> CodeType:
    """The text compiled; functions of equal structure have equal texts."""
    return compile(text, "<a written call>", "exec")


@lru_cache(maxsize=1)
def _alone() -> int:
    """What getrefcount says of a storage that one Array and one variable refer to."""
    x = Array(np.zeros(1))
    x._store = object()
    store = x._store
    return sys.getrefcount(store)


class _Function:
    def __init__(self, hit: Hit):
        self.hit, self.runner = hit, hit.runner
        self.lines: list[str] = []
        self.leaves: list[tuple[str, Any]] = []  # in reading order: variable, value
        self.count = 0
        self.names: dict[str, Any] = {
            **{"OTHER": OTHER, "Array": Array, "state": core.state, "EVAL": core.EVAL},
            **{"live": refs.live, "settings": config.__dict__, "config": config},
            **{"TOKEN": config.token(), "devices": array.__dict__, "ndarray": np.ndarray},
            **{"DEFAULT": array.__dict__["_default"], "hit": hit, "output": output},
            **{"get_aval": core.get_aval, "new": object.__new__},
        }

    def test(self, args: Any, kwargs: Any) -> None:
        """Begin a function of a call's arguments with the tests of its signature."""
        self._guards(args, kwargs)
        caught = [" except (AttributeError, ValueError):", "  return OTHER"]
        guards = ["  " + line for line in self.lines]
        self.head = ["def call(args, kwargs):", " try:", *guards, *caught]
        self.slow = f"return hit.call_with([{', '.join(name for name, _ in self.leaves)}])"

    def unpack(self, leaves: Sequence[Any]) -> bool:
        """Begin a function of a call's leaves; False where one is neither array nor number."""
        self.leaves = [(self._new(), x) for x in leaves]
        names = "".join(f"{name}, " for name, _ in self.leaves)
        self.slow = "return hit.call_with(leaves)"
        self.head = ["def call(leaves):", *([f" {names}= leaves"] if names else [])]
        for name, x in self.leaves:  # a number and an array can have one aval
            self.head += [f" if type({name}) is not {self._named(type(x))}:", f"  {self.slow}"]
        return all(type(x) in (Array, np.ndarray, *NUMBERS) for x in leaves)

    def compiled(self, outs: Sequence[Any], result: Any) -> Any:
        """The function, or None where it is too long."""
        if len(self.leaves) + len(outs) > LEAVES:
            return None
        self.lines = []
        if not self._launch(outs, result):
            self.lines = [self.slow]
        exec(_code("\n".join([*self.head, *(" " + line for line in self.lines)])), self.names)
        return self.names["call"]

    # ------------------------------------------------------------ is it this signature?

    def _guards(self, args: Any, kwargs: Any) -> None:
        self._unless(
            "live or state.trace is not EVAL or devices['_default'] is not DEFAULT",
            "(settings['_token'] is not TOKEN or settings['_overriding'])"
            " and config.token() is not TOKEN",
        )
        self._items("args", args, "args")
        self._dict("kwargs", kwargs)

    def _unless(self, *conditions: str) -> None:
        for condition in conditions:
            self.lines += [f"if {condition}:", "  return OTHER"]

    def _new(self) -> str:
        self.count += 1
        return f"a{self.count}"

    def _named(self, value: Any) -> str:
        name = f"K{len(self.names)}"
        self.names[name] = value
        return name

    def _read(self, name: str, x: Any) -> None:
        """Lines that test that the variable `name` holds what `x` is."""
        kind = type(x)
        if kind is Array:
            known = self._named(x.aval)
            other = f"(type({name}) is not Array or {name}.aval is not {known})"
            self._unless(f"{name}._known is not {known} and {other}")
            self.leaves.append((name, x))
        elif kind in NUMBERS:
            self._unless(f"type({name}) is not {kind.__name__}")
            self.leaves.append((name, x))
        elif kind is np.ndarray:
            known = self._named(core.get_aval(x))
            self._unless(f"type({name}) is not ndarray or get_aval({name}) is not {known}")
            self.leaves.append((name, x))
        elif x is None:
            self._unless(f"{name} is not None")
        elif kind is dict:
            self._unless(f"type({name}) is not dict")
            self._dict(name, x)
        else:
            self._unless(f"type({name}) is not {self._named(kind)}")
            self._items(name, x, name)

    def _dict(self, name: str, x: dict[Any, Any]) -> None:
        if x:
            self._unless(f"tuple({name}) != {self._named(tuple(x))}")
        self._items(name, x.values(), f"{name}.values()" if x else name)

    def _items(self, name: str, items: Any, source: str) -> None:
        if not items:
            self._unless(name)
            return
        names = [self._new() for _ in items]
        self.lines.append(f"{', '.join(names)}, = {source}")
        for each, x in zip(names, items):
            self._read(each, x)

    # ------------------------------------------------------------ the launch and its results

    def _launch(self, outs: Sequence[Any], result: Any) -> bool:
        """Lines that take the arguments' storages, launch, and return; False: not to be done."""
        runner, call = self.runner, self.runner.call
        if call is None or not hasattr(call.executable, "straight"):
            return False
        self.names["device"] = call.device
        flat = self._operands()
        used = flat if runner.used is None else [flat[k] for k in runner.used]
        numbers = {
            k: aval.dtype
            for k, ((_, x), aval) in enumerate(zip(used, call.in_avals))
            if type(x) in NUMBERS
        }
        stores = [self._storage(name, x) for name, x in used]
        self.names |= {"getrefcount": sys.getrefcount, "ALONE": _alone()}
        owned = {
            k: f"type({s}) is Storage and getrefcount({s}) == ALONE and {name}._host is None"
            for k, (s, (name, x)) in enumerate(zip(stores, used))
            if k in runner.donated and type(x) is Array
        }
        straight = call.executable.straight(stores, numbers, owned, self.slow)
        if straight is None:
            return False
        self.lines += straight.lines
        self.names |= straight.names
        for name, x in (used[k] for k in runner.donated):
            if type(x) is Array:  # its type is known: it was tested
                self.lines.append(f"{name}._host = {name}._store = {name}._event = None")
                self.lines.append(f"{name}._lease = None")
        made = [f"x{k}" for k in range(len(call.out_avals))]
        self.names["made"] = (Array,) * len(made)
        several = f"{', '.join(made)} = map(new, made)"
        self.lines.append(several if len(made) > 1 else "x0 = new(Array)")
        for name, (store, lease), aval in zip(made, straight.results, call.out_avals):
            self._fill(name, store, lease, aval)
        self._return(flat, made, outs, result)
        return True

    def _operands(self) -> list[tuple[str, Any]]:
        """Constants and arguments in the runner's order."""
        order = self.hit.order
        leaves = self.leaves if order is None else list(order(self.leaves))
        return [*((self._named(c), c) for c in self.hit.consts), *leaves]

    def _storage(self, name: str, x: Any) -> str:
        """A variable with what is bound to a kernel: a storage, or a number."""
        store = f"s_{name}"
        if type(x) is Array:
            self.lines += [
                f"{store} = {name}._store",
                f"if {store} is None or {name}._device is not device:",
                f"  {store} = {name}._storage(device)",
            ]
        elif type(x) is np.ndarray:  # it is read before the call returns: no copy
            dtype = self._named(core.get_aval(x).dtype)
            self.names["asarray"] = np.asarray
            self.lines.append(f"{store} = device.put(asarray({name}, {dtype}))")
        else:
            return name
        return store

    def _fill(self, name: str, store: str, lease: str, aval: Any) -> None:
        self.lines += [
            f"{name}._host = {name}._event = None",
            f"{name}._weak = {aval.weak_type}",
            f"{name}._store = {store}",
            f"{name}._lease = {lease}",
            f"{name}._device = device",
            f"{name}._known = {self._named(aval)}",
        ]

    def _return(self, flat: Any, made: list[str], outs: Sequence[Any], result: Any) -> None:
        plan = self.runner.outputs
        final = []
        for place, (kind, k) in enumerate(plan or [("computed", k) for k in range(len(made))]):
            if kind == "computed":
                final.append(made[k])
                continue
            value = (
                self._named(k) if kind == "literal" else made[k] if kind == "again" else flat[k][0]
            )
            self.lines.append(f"y{place} = output_of({value})")
            self.names["output_of"] = output
            final.append(f"y{place}")
        places = {id(x): name for x, name in zip(outs, final)}
        text = self._built(result, places)
        if text is None:
            self.names["unflatten"] = self.hit.unflatten
            text = f"unflatten([{', '.join(final)}])"
        self.lines.append(f"return {text}")

    def _built(self, x: Any, places: dict[int, str]) -> str | None:
        """An expression for a tree of results; None where something is for the tree library."""
        if id(x) in places:
            return places[id(x)]
        if x is None:
            return "None"
        kind = type(x)
        if kind is dict:
            items = {self._named(k): self._built(v, places) for k, v in x.items()}
            if None in items.values():
                return None
            return "{" + ", ".join(f"{k}: {v}" for k, v in items.items()) + "}"
        if kind not in (tuple, list) and not is_named(kind, x):
            return None
        parts = [self._built(v, places) for v in x]
        if None in parts:
            return None
        inner = "".join(f"{part}, " for part in parts)
        if kind is list:
            return f"[{inner}]"
        return f"({inner})" if kind is tuple else f"{self._named(kind)}({inner})"
