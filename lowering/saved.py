"""Saved plans: a graph -> the plan that an earlier process made of it, or nothing.

The key covers all that a plan depends on: the graph with its labels, the device's profile, what is
donated, Python's, NumPy's and this package's versions. A graph that calls live Python functions has
none. What stands in the cache is a pickle (runtime/cache.py: checked, versioned, ours alone).
"""

from __future__ import annotations

import dataclasses
import operator
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lowering.graph import Cond, Graph, Loop, Node, Opaque
from lowering.plan import Plan
from lowering.profile import Profile
from lowering.runtime import cache as disk
from lowering.runtime.counters import counts


class _Live(Exception):
    """The graph calls a Python function of this process."""


def _sources() -> str:
    """Name, size and time of change of each source file here: other files make other plans."""
    root = Path(__file__).parent
    files = sorted(root.rglob("*.py"))
    return repr([(str(f.relative_to(root)), f.stat().st_size, f.stat().st_mtime_ns) for f in files])


# as of the import, not of the first use: files may change under a running process
VERSIONS = (sys.version, np.__version__, _sources())


def key_of(
    graph: Graph, profile: Profile, donated: Sequence[bool], name: str, joins: bool = True
) -> str | None:
    """The cache key of a plan; None for a graph whose plan cannot be kept, or with the cache off.

    Debugging aids that print while a plan is made (FX_DUMP) need it to be made.
    """
    if disk.directory() is None or "FX_DUMP" in os.environ:
        return None
    lines: list[str] = []
    try:
        _write(graph, lines)
    except _Live:
        return None
    flags = "".join("01"[bool(d)] for d in (*donated, joins))
    machine = (profile.key, profile.compute_units)
    return disk.key_of(*VERSIONS, *machine, flags, name, "\n".join(lines))


def load(key: str) -> Plan | None:
    """The plan kept under `key`."""
    plan = disk.load_object("plan", key)
    if not isinstance(plan, Plan):
        return None
    counts.plans_loaded += 1
    return plan


def store(key: str, plan: Plan) -> None:
    """Keep a plan, if it pickles."""
    disk.store("plan", key, lambda: _pickled(plan))


def _pickled(plan: Plan) -> bytes | None:
    try:
        return pickle.dumps(plan, protocol=5)
    except Exception:  # pickle raises whatever the objects inside raise
        return None


# ---------------------------------------------------------------- a graph as text


def _write(graph: Graph, lines: list[str]) -> None:
    """One line for each node, operands by number; graphs inside loops and branches come first."""
    numbers: dict[int, int] = {}
    for n in (*graph.inputs, *graph.nodes()):
        if id(n) not in numbers:
            numbers[id(n)] = len(numbers)
            lines.append(_line(n, numbers, lines))
    outs = [numbers[id(n)] for n in graph.outputs]
    effects = [numbers[id(n)] for n in graph.effects]
    lines.append(f"{len(graph.inputs)} {outs} {effects}")


def _line(n: Node, numbers: dict[int, int], lines: list[str]) -> str:
    form = n.form
    if isinstance(form, Opaque) and not form.stage:
        raise _Live
    if isinstance(form, Opaque):
        static = form.key  # a function of this package, which pickles by name
    elif isinstance(form, Loop):
        for inner in filter(None, (form.body, form.cond)):
            _write(inner, lines)
        static = (form.length, form.reverse, form.n_cond_consts, form.n_consts, form.n_carry)
        static = (*static, form.cond is None)
    elif isinstance(form, Cond):
        for inner in form.branches:
            _write(inner, lines)
        static = len(form.branches)
    else:
        static = _fields(type(form))(form)
    args = [numbers[id(a)] for a in n.args]
    outs = "" if n.outs is None else [(s, _code(d)) for s, d in n.outs]
    name = type(form).__name__
    return f"{name} {static!r} {args} {n.shape} {_code(n.dtype)} {outs} {n.tag!r}"


@cache
def _fields(form: type) -> Callable[[Any], Any]:
    """What gives the fields of a form."""
    names = [f.name for f in dataclasses.fields(form)]
    return operator.attrgetter(*names) if names else lambda _: None


@cache  # NumPy makes names anew each time
def _code(dtype: np.dtype) -> str:
    """A name that tells byte orders and ml_dtypes' types apart."""
    return dtype.name + dtype.byteorder
