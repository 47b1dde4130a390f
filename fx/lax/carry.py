"""Tracing of loop bodies and branches, and the errors where carries or branch outputs do not match.

In: a user's function and avals. Out: a jaxpr without constants, the values it closes over, and its
output's structure. Weakly typed carries are promoted to what the body gives; anything else that
differs is a TypeError naming the leaf.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from fx import core
from fx.avals import ShapedArray, lattice_join
from fx.core import ClosedJaxpr, DebugInfo
from fx.flatten import flatten_function, name_of, source_of
from fx.prims.control import close_flat
from fx.prims.convert import convert
from fx.tree_paths import children_with_keys, keystr
from fx.tree_util import tree_leaves_with_path


class Traced(NamedTuple):
    """A traced function: jaxpr (inputs: *consts, *arguments), the consts, output tree and avals."""

    jaxpr: ClosedJaxpr
    consts: list[Any]
    out_tree: Any
    out_avals: list[ShapedArray]


def trace_flat(fun: Callable[..., Any], in_tree: Any, avals: Sequence[ShapedArray]) -> Traced:
    """Trace `fun`, whose positional arguments have the leaves `avals`."""
    flat, out = flatten_function(fun, in_tree)
    jaxpr, consts = close_flat(flat, avals, None, DebugInfo(name_of(fun)))
    return Traced(jaxpr, consts, out.tree, list(jaxpr.out_avals))


def same_type(a: ShapedArray, b: ShapedArray) -> bool:
    """Equal but for weak types."""
    return a.shape == b.shape and a.dtype == b.dtype


def promote_weak(
    values: Sequence[Any], given: Sequence[ShapedArray], out: Sequence[ShapedArray]
) -> tuple[list[Any], bool]:
    """Weakly typed carry inputs converted to the dtype of the outputs, no longer weak; whether any
    changed.
    """
    found, changed = [], False
    for v, a, b in zip(values, given, out, strict=True):
        if a.weak_type and a.dtype != b.dtype:
            dtype, _ = lattice_join([(a.dtype, True), (b.dtype, b.weak_type)])
            if dtype != a.dtype:
                v, changed = convert(v, dtype), True
        found.append(v)
    return found, changed


# ---------------------------------------------------------------- carries


def carry_name(fun: Callable[..., Any]) -> str:
    """The name of the function's first parameter."""
    try:
        first = next(iter(inspect.signature(fun).parameters.values()))
    except (ValueError, TypeError, StopIteration):
        return "carry"
    return first.name


def check_carry(
    what: str, name: str, in_tree: Any, in_avals: Sequence[Any], out_tree: Any, out_avals: Any
) -> None:
    """Raise TypeError unless a body's carry output has the structure and types of its input."""
    if in_tree != out_tree:
        a, b = in_tree.unflatten(in_avals), out_tree.unflatten(out_avals)
        lines = [
            f"The input {_component('carry', name, path)} is a {kind_a} but the corresponding "
            f"component "
            f"of the carry output is a {kind_b}, so {why}."
            for path, kind_a, kind_b, why in differences(a, b)
        ]
        raise TypeError(
            f"{what} function carry input and carry output must have the same pytree structure, "
            f"but "
            f"they differ:\n\n{_listed(lines)}\n\nRevise the function so that the carry output "
            f"has the same "
            "pytree structure as the carry input."
        )
    if all(map(same_type, in_avals, out_avals)):
        return
    paths = [p for p, _ in tree_leaves_with_path(in_tree.unflatten(in_avals))]
    lines = [
        f"The input {_component('carry', name, p)} has type {a.str_short()} but the corresponding "
        f"output "
        f"carry component has type {b.str_short()}, so {_type_difference(a, b)}."
        for p, a, b in zip(paths, in_avals, out_avals)
        if not same_type(a, b)
    ]
    raise TypeError(
        f"{what} function carry input and carry output must have equal types, but they differ:\n\n"
        f"{_listed(lines)}\n\nRevise the function so that all output types match the "
        f"corresponding input "
        "types."
    )


def _component(what: str, name: str, path: Any) -> str:
    return f"{what} component {name}{keystr(path)}" if path else f"{what} {name}"


def _listed(lines: Sequence[str]) -> str:
    return lines[0] if len(lines) == 1 else "\n".join(f"  * {line}" for line in lines)


def _type_difference(a: ShapedArray, b: ShapedArray) -> str:
    found = []
    if a.shape != b.shape:
        found.append("the shapes do not match")
    if a.dtype != b.dtype:
        found.append("the dtypes do not match")
    return " and ".join(found)


def differences(a: Any, b: Any, path: tuple = ()) -> Iterator[tuple[tuple, str, str, str]]:
    """Where two trees differ: (path, what the first has, what the second has, why)."""
    a_children, b_children = children_with_keys(a), children_with_keys(b)
    if a_children is None and b_children is None:
        return
    if a_children is None or b_children is None or type(a) is not type(b):
        yield path, _kind(a, a_children), _kind(b, b_children), "their Python types differ"
        return
    (pa, aux_a), (pb, aux_b) = a_children, b_children
    if len(pa) != len(pb):
        yield (
            path,
            f"{type(a)} of length {len(pa)}",
            f"{type(b)} of length {len(pb)}",
            "the lengths do not match",
        )
    elif aux_a != aux_b or [k for k, _ in pa] != [k for k, _ in pb]:
        keys = lambda pairs: f"with keys {[str(k) for k, _ in pairs]}"  # noqa: E731
        yield path, f"{type(a)} {keys(pa)}", f"{type(b)} {keys(pb)}", "the keys do not match"
    else:
        for (key, x), (_, y) in zip(pa, pb):
            yield from differences(x, y, (*path, key))


def _kind(x: Any, children: Any) -> str:
    return "pytree leaf" if children is None else str(type(x))


# ---------------------------------------------------------------- branches


def check_branches(
    what: str, names: Sequence[str], funs: Sequence[Any], traced: Sequence[Traced]
) -> None:
    """Raise TypeError unless all branches have outputs of the structure and types of the first."""
    for name, fun, other in zip(names[1:], funs[1:], traced[1:]):
        first = traced[0]
        header = f"{names[0]} is {source_of(funs[0])}\n{name} is {source_of(fun)}\n\n"
        if other.out_tree != first.out_tree:
            a = first.out_tree.unflatten(first.out_avals)
            b = other.out_tree.unflatten(other.out_avals)
            lines = [
                f"{names[0]} output{_at(p)} is a {x} but {name} output{_at(p)} is a {y}, so {why}."
                for p, x, y, why in differences(a, b)
            ]
            raise TypeError(
                f"{what} branch outputs must have the same pytree structure, but they "
                f"differ:\n\n{header}"
                f"{_listed(lines)}\n\nRevise {names[0]} and/or {name} so that they have the same "
                f"pytree "
                "structure."
            )
        if all(map(same_type, first.out_avals, other.out_avals)):
            continue
        paths = [p for p, _ in tree_leaves_with_path(first.out_tree.unflatten(first.out_avals))]
        lines = [
            f"The output of {names[0]}{_at(p)} has type {a.str_short()} but the corresponding "
            f"output of "
            f"{name} has type {b.str_short()}, so {_type_difference(a, b)}."
            for p, a, b in zip(paths, first.out_avals, other.out_avals)
            if not same_type(a, b)
        ]
        raise TypeError(
            f"{what} branches must have equal output types but they "
            f"differ.\n\n{header}{_listed(lines)}\n\n"
            f"Revise {names[0]} and/or {name} so that all output types match."
        )


def _at(path: Any) -> str:
    return f" at path {keystr(path)}" if path else ""


def equal_weak_types(traced: Sequence[Traced]) -> list[ClosedJaxpr]:
    """The branches' jaxprs, an output being weak where the first of them (for `cond`, that of
    False) gives a weak one, as in JAX.
    """
    weak = [a.weak_type for a in traced[0].out_avals]
    found = []
    for t in traced:
        if [a.weak_type for a in t.out_avals] == weak:
            found.append(t.jaxpr)
            continue

        def strong(*args: Any, t: Traced = t) -> list[Any]:
            outs = core.eval_jaxpr(t.jaxpr.jaxpr, [], *args)
            return [convert(o, a.dtype, w) for o, a, w in zip(outs, t.out_avals, weak)]

        found.append(core.close(strong, t.jaxpr.in_avals))
    return found
