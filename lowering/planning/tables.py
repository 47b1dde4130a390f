"""Tables: a stage that calls one function for buffer after buffer -> a loop along a table of them.

In: a stage as `launches/merge.py` writes it, the leaves of a tree. Out: one whose function takes a
table of where its kernel's arguments are, which a builder has at hand (pocl/lean.py), and the
order of its buffers. Twenty calls with two pointers each, loaded and handed on, take LLVM 5 ms.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lowering import scalar
from lowering.emit.scope import Stage

MANY = 8
"""Calls from which a loop takes LLVM less time."""

_CALLS = re.compile(
    r"(?P<head>  for \(long k = 0; k < n\d+; \+\+k\) \{\n)?"
    r"(?P<calls>(?: +@\w+\(\w+(?:, b\d+)+(?:, n\d+)*\);(?:\n|$))+)(?P<tail>  \})?"
)
_CALL = re.compile(r"( +@\w+\(\w+)((?:, b\d+)+)((?:, n\d+)*)\);")


def tabled(stage: Stage) -> tuple[Stage, list[int]]:
    """The stage, with a table where it is such a one, and the order of its buffers."""
    same = list(range(len(stage.buffers)))
    whole = _CALLS.fullmatch(stage.text)
    if whole is None or stage.windows or stage.listed:
        return stage, same
    calls = _CALL.findall(whole["calls"])
    if len(calls) < MANY or len({(begin, numbers) for begin, _, numbers in calls}) > 1:
        return stage, same
    given = [[int(b) for b in re.findall(r"\d+", buffers)] for _, buffers, _ in calls]
    order, step = _order(given)
    if not step or sorted(order) != same:
        return stage, same
    indent = "  " if whole["head"] else ""
    begin, _, numbers = calls[0]
    args = []
    for b in given[0]:
        at = order.index(b)
        place = at if at >= step * len(calls) else f"j + {at}"
        args.append(f"*(__global {scalar.memory_type(stage.buffers[b].dtype)} **)b[{place}]")
    lines = [
        f"{indent}  for (int j = 0; j < {step * len(calls)}; j += {step}) {{",
        f"  {begin}, {', '.join(args)}{numbers});",
        f"{indent}  }}",
    ]
    text = (whole["head"] or "") + "\n".join(lines) + ("\n  }" if whole["head"] else "")
    buffers = [stage.buffers[b] for b in order]
    return replace(stage, text=text, buffers=buffers, table=True), order


def _order(given: Sequence[Sequence[int]]) -> tuple[list[int], int]:
    """The buffers that the first call alone has, those of the second, and so on, then those of all;
    how many each call has for itself, 0 where calls differ.
    """
    shared = sorted(set(given[0]).intersection(*given[1:]))
    order = [b for call in given for b in dict.fromkeys(call) if b not in shared] + shared
    step, rest = divmod(len(order) - len(shared), len(given))
    last = step * len(given)
    places = [[order.index(b) for b in call] for call in given]
    alike = [
        [p + step * k * (p < last) for p in places[0]] == call for k, call in enumerate(places)
    ]
    return order, 0 if rest or not all(alike) else step
