"""TopK on a CPU: one walk over a row that keeps the k best so far, in order.

A strip of elements is looked at closer only if one of them beats the worst kept one, which becomes
rare soon: k ln(n / k) times in a row of random numbers. A long row is walked by many items, whose
candidates are then walked in order: equal elements keep the lower index first.
"""

from __future__ import annotations

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.emit.scope import Stage
from lowering.nest import NestBuffer
from lowering.profile import Profile
from lowering.templates import sort_keys
from lowering.templates.sorting import Job, Sorting

MAX_K = 32  # kept elements up to which insertion beats a selection by digits
MAX_RARE = 128  # the same where the row is so long that insertions are rare
ITEMS = 16
PART = 1 << 14  # elements of a row that one item walks
PLACES = np.dtype(np.int32)


def fits(j: Job) -> bool:
    """Whether a walk is the way to do a TopK job."""
    rare = j.kept <= MAX_RARE and j.n >= 64 * j.kept
    return j.kept > 0 and (j.kept <= MAX_K or rare)


def plan(j: Job, profile: Profile) -> Sorting:
    """One stage over rows, or one over parts of rows and one over their candidates."""
    parts = min(ITEMS, j.n // max(PART, 4 * j.kept)) if j.rows < ITEMS else 1
    if parts < 2:
        return Sorting([_walk(j, profile, 1, False)], [])
    scratch = j.rows * parts * j.kept
    stages = [_walk(j, profile, parts, True), _candidates(j, parts)]
    return Sorting(stages, [scratch])


def _insert(key: str, place: str) -> list[str]:
    """Put a key that beats the worst kept one in its place."""
    return [
        "int f = kept - 1;",
        f"for (; f > 0 && best[f - 1] < {key}; --f) {{",
        "  best[f] = best[f - 1];",
        "  at[f] = at[f - 1];",
        "}",
        f"best[f] = {key};",
        f"at[f] = {place};",
    ]


def _close(j: Job, kind: str, element: str, place: str) -> list[str]:
    """Look at one element; `seen` counts the first ones, which are kept whatever they are."""
    d = j.xs[0].dtype
    return [
        f"const {scalar.register_type(d, 1)} v = {element};",
        f"const {kind} key = {sort_keys.text(d, 'v')};",
        f"if (kept < {j.kept} || key > best[{j.kept - 1}]) {{",
        f"  kept += kept < {j.kept};",
        *(f"  {x}" for x in _insert("key", place)),
        "}",
    ]


def _results(j: Job, names: dict[int, str]) -> list[str]:
    lines = []
    for o in j.outs:
        value = "at[f]"
        if o.operand is not None:
            value = scalar.load(o.dtype, 1, "b0 + base + at[f]")
        put = scalar.store(o.dtype, 1, f"{names[o.index]} + r * {j.kept} + f", value)
        lines.append(f"for (int f = 0; f < {j.kept}; ++f) {put};")
    return lines


def _stage(lines: list[str], buffers: list[NestBuffer], items: int, cost: float) -> Stage:
    text = "\n".join("  " + x for x in lines)
    return Stage(text, buffers, [], items, 1, "top_k", cost=cost)


def _given(j: Job) -> tuple[list[NestBuffer], list[str]]:
    x = j.xs[0]
    buffers, order = [NestBuffer(x, x.dtype, x.size)], ["x0"]
    for o in j.outs:
        node = g.Node(g.Input(-1), (), (j.rows * j.kept,), o.dtype)
        buffers.append(NestBuffer(node, o.dtype, node.size, True))
        order.append(f"o{o.index}")
    return buffers, order


def _scratch(j: Job, parts: int, written: bool) -> NestBuffer:
    node = g.Node(g.Input(-1), (), (j.rows * parts * j.kept,), PLACES)
    return NestBuffer(node, PLACES, node.size, written)


def _walk(j: Job, profile: Profile, parts: int, candidates: bool) -> tuple[Stage, tuple[str, ...]]:
    """Each item walks some rows, or a part of one."""
    d, kind = j.xs[0].dtype, sort_keys.word(j.xs[0].dtype)
    units = j.rows * parts
    share = 1 if parts > 1 else -(-units // max(1, min(ITEMS, units, units * j.n // 4096)))
    length = -(-j.n // parts)
    buffers, order = _given(j)
    if candidates:
        buffers, order = [buffers[0], _scratch(j, parts, True)], ["x0", "s0"]
    names = {o.index: f"b{k + 1}" for k, o in enumerate(j.outs)}
    lines = [
        f"{kind} best[{j.kept}];",
        f"int at[{j.kept}];",
        f"for (long unit = {share} * item; unit < min({units}L, {share} * (item + 1)); ++unit) {{",
        f"  const long r = unit / {parts}, base = r * {j.n};",
        f"  const int lo = (int)(unit % {parts}) * {length}, hi = min({j.n}, lo + {length});",
        "  int kept = 0, e = lo;",
    ]
    close = _close(j, kind, scalar.load(d, 1, "b0 + base + e"), "e")
    lines += _strips(j, profile, close)
    lines.append(f"  for (; e < hi; ++e) {{ {' '.join(close)} }}")
    if candidates:
        lines.append(f"  for (int f = 0; f < {j.kept}; ++f) b1[unit * {j.kept} + f] = at[f];")
    else:
        lines += ["  " + x for x in _results(j, names)]
    lines.append("}")
    cost = 4.0 * j.rows * j.n
    return _stage(lines, buffers, -(-units // share), cost), tuple(order)


def _strips(j: Job, profile: Profile, close: list[str]) -> list[str]:
    """Skip strips in which nothing beats the worst kept element, four vectors at once."""
    d = j.xs[0].dtype
    if scalar.code(d) not in ("f32", "f64", "i32", "u32", "i64", "u64"):
        return []
    wide = sort_keys.bits(d) // 8
    width = profile.lanes(wide)
    if width < 2 or j.n < 8 * width + j.kept:
        return []
    element = scalar.register_type(d, 1)
    vector = scalar.register_type(d, width)
    below = []
    for q in range(4):
        v = scalar.load(d, width, f"b0 + base + e + {q * width}")
        below.append(f"({v} <= ({vector})(worst))")
    longs = wide * width // 8
    flags = " & ".join(f"m.s{q:x}" for q in range(longs)) if longs > 1 else "m"
    kind = f"long{longs}" if longs > 1 else "long"
    first = scalar.load(d, 1, f"b0 + base + at[{j.kept - 1}]")
    return [
        f"  for (; e < hi && kept < {j.kept}; ++e) {{ {' '.join(close)} }}",
        f"  {element} worst = kept < {j.kept} ? 0 : {first};",
        f"  while (e + {4 * width} <= hi) {{",
        f"    const {kind} m = as_{kind}({' & '.join(below)});",
        f"    if (({flags}) == -1) {{ e += {4 * width}; continue; }}",
        f"    for (const int end = e + {4 * width}; e < end; ++e) {{ {' '.join(close)} }}",
        f"    worst = {first};",
        "  }",
    ]


def _candidates(j: Job, parts: int) -> tuple[Stage, tuple[str, ...]]:
    """The k best of the parts' candidates, a row an item."""
    kind = sort_keys.word(j.xs[0].dtype)
    buffers, order = _given(j)
    buffers.append(_scratch(j, parts, False))
    order.append("s0")
    names = {o.index: f"b{k + 1}" for k, o in enumerate(j.outs)}
    place = f"b{len(buffers) - 1}[r * {parts * j.kept} + c]"
    close = _close(j, kind, scalar.load(j.xs[0].dtype, 1, "b0 + base + e"), "e")
    lines = [
        f"{kind} best[{j.kept}];",
        f"int at[{j.kept}];",
        f"const long r = item, base = r * {j.n};",
        "int kept = 0;",
        f"for (int c = 0; c < {parts * j.kept}; ++c) {{",
        f"  const int e = {place};",
        *(f"  {x}" for x in close),
        "}",
        *_results(j, names),
    ]
    cost = 20.0 * j.rows * parts * j.kept
    return _stage(lines, buffers, j.rows, cost), tuple(order)
