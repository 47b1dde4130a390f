"""Outline: lines of a stage as a function of its own, which gets what it names of what is around.

A product's stage is seven loops in each other and what is done with its sums. LLVM takes three
fifths of the time for two functions of two loops each and a list of loops that is not optimised,
and the functions may be compiled side by side (docs/why/shared-loops.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lowering import scalar
from lowering.emit.scope import Scope
from lowering.nest import Nest

_LINE = re.compile(r"\s*((?:const )?(?:__global )?(?:const )?\w+) (\*?\w+(?:\[\d+\])?(?: .*)?);$")
_NAME = re.compile(r"(?:^|, )(\*?)(\w+)(\[\d+\])?(?= = |$| __attribute__)")
_WORD = re.compile(r"\b[a-zA-Z_]\w*")
_NO_TYPES = {"return", "goto", "else"}


def around(scope: Scope | None, nest: Nest, loops: Iterable[str]) -> dict[str, str]:
    """What a function of lines in a scope may be given; `loops`: the integers of loops that are not
    written yet.
    """
    names = {}
    for j, b in enumerate(nest.buffers):
        const = "" if b.written else "const "
        names[f"b{j}"] = f"__global {const}{scalar.memory_type(b.dtype)} *b{j}"
    lines: list[str] = []
    while scope is not None:
        lines, scope = [*scope.lines, *lines], scope.parent
    return names | declared(lines) | {x: f"const int {x}" for x in loops}


def declared(lines: Iterable[str]) -> dict[str, str]:
    """The names that these lines declare, and the parameter of a function that gets each."""
    found: dict[str, str] = {}
    for line in lines:
        m = _LINE.match(line)
        if m is None or m[1] in _NO_TYPES:
            continue
        for star, name, array in _NAME.findall(m[2]):
            kind = m[1] if star or array else f"const {m[1].removeprefix('const ')}"
            found[name] = f"{kind} {'*' if star or array else ''}{name}"
    return found


def function(
    name: str, lines: Sequence[str], around: Mapping[str, str], pragma: str
) -> tuple[str, str]:
    """The function of these lines, and its call; `around`: what it may be given, by name."""
    words = _WORD.findall("\n".join(lines))
    given = [word for word in dict.fromkeys(words) if word in around]
    params = ", ".join(around[word] for word in given)
    body = "\n".join(lines)
    return (
        f"FX_STAGE void {name}({params}) {{\n{pragma}\n{body}\n}}",
        f"{name}({', '.join(given)});",
    )
