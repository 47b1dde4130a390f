"""`python -m fx.prims tan` prints a card: a sentence, where each rule stands, the cases.

Without a name it lists all primitives; `--kernel` adds the OpenCL source of the first case.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from typing import Any

import numpy as np

import fx
from fx.core import PRIMITIVES, Primitive, no
from fx.prims.registry import Case

RULES = ("abstract", "numpy", "jvp", "transpose", "batch", "lower")


def card(p: Primitive) -> str:
    """The card of one primitive as text."""
    entry = _place(p.where.get("entry"))
    lines = [f"{p.name}: {p.doc}", f"  entry      {entry}"]
    for rule in RULES:
        found = getattr(p, rule)
        if isinstance(found, no):
            lines.append(f"  {rule:<10} none: {found.reason}")
        elif found is not None:
            lines.append(f"  {rule:<10} {_place(p.where.get(rule)) or _name(found)}")
        elif rule in p.trace_rules:
            lines.append(f"  {rule:<10} {_place(p.where.get(rule))}")
    lines.append("  cases")
    lines += [f"    {describe(c)}" for c in (p.cases() if p.cases else ())]
    return "\n".join(lines)


def describe(case: Case) -> str:
    """One line for a case: operand types, then parameters."""
    dtypes = case.dtypes or (np.float32,) * len(case.shapes)
    types = ", ".join(
        f"{np.dtype(d).name}[{','.join(map(str, s))}]" for d, s in zip(dtypes, case.shapes)
    )
    shown = " ".join(f"{k}={_short(v)}" for k, v in case.params.items())
    return f"({types}) {shown}".rstrip() + (f"  {case.note}" if case.note else "")


def kernel(p: Primitive) -> str:
    """The OpenCL source of the primitive's first case, for the default device."""
    case = next(iter(p.cases()))
    dtypes = case.dtypes or (np.float32,) * len(case.shapes)
    args = [np.zeros(s, d) for s, d in zip(case.shapes, dtypes)]
    lowered: Any = fx.jit(lambda *xs: p.bind(*xs, **case.params)).lower(*args)
    return lowered.compile().as_text()


def _short(value: Any) -> str:
    text = value.name if isinstance(value, np.dtype) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _place(where: str | None) -> str:
    if where is None:
        return ""
    file, _, line = where.rpartition(":")
    return f"{os.path.relpath(file)}:{line}"


def _name(rule: Any) -> str:
    return getattr(rule, "__name__", type(rule).__name__)


def main(argv: list[str] | None = None) -> int:
    """Print the cards of the named primitives, or the list of all; 1 if a name is unknown."""
    parser = argparse.ArgumentParser(prog="python -m fx.prims", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="primitives, such as tan or dot_general")
    parser.add_argument("--kernel", action="store_true", help="also print the OpenCL source")
    options = parser.parse_args(argv)
    if not options.names:
        for name in sorted(PRIMITIVES):
            print(f"{name:<30} {PRIMITIVES[name].doc}")
        return 0
    for name in options.names:
        if name not in PRIMITIVES:
            near = ", ".join(difflib.get_close_matches(name, PRIMITIVES)) or "none"
            print(f"no primitive is called {name!r}; similar: {near}", file=sys.stderr)
            return 1
        print(card(PRIMITIVES[name]))
        if options.kernel:
            print(kernel(PRIMITIVES[name]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
