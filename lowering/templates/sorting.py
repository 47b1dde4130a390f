"""Sorting on a CPU: Sort and TopK nodes as stages of radix sorts; each row by one item, or one long
row by many.

A row's keys and places go through stable passes over digits, the last key first; then the operands
are gathered by place. So equal keys keep their order, whatever the dtype. Rows of few elements are
sorted by insertion. One operand alone is left to NumPy, whose vector sort is faster (`host`); where
it is not, keys of rows that are not short go through the passes without places and end as elements.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from lowering import graph as g
from lowering import scalar
from lowering.emit.scope import OWN_PART, Stage
from lowering.nest import NestBuffer
from lowering.templates import sort_keys
from lowering.templates.sort_keys import BINS, DIGIT

ITEMS = 16
INSERTION = 48  # elements of a row up to which insertion wins
ALONE = 1000  # elements from which keys alone are sorted here where the host's sort is slow
MOST_REPEATED = 1024  # the same in a loop, where NumPy would have to be waited for
LONG = 1 << 15  # elements from which a row is sorted by many items
WORDS = np.dtype(np.uint32)


@dataclass(frozen=True)
class Out:
    """A result: the operand that is gathered (None: the places themselves), its dtype, which output
    of the node it is.
    """

    operand: int | None
    dtype: np.dtype
    index: int


@dataclass(frozen=True)
class Job:
    """Rows of n elements, `stride` apart, by the keys of some operands; the first `kept` remain."""

    shape: tuple[int, ...]
    dim: int
    keys: tuple[int, ...]
    outs: tuple[Out, ...]
    xs: tuple[g.Node, ...]
    kept: int
    descending: bool = False
    alone: bool = False  # keys are sorted and become the result: no places, nothing to gather

    @property
    def n(self) -> int:
        return self.shape[self.dim]

    @property
    def stride(self) -> int:
        return prod(self.shape[self.dim + 1 :])

    @property
    def rows(self) -> int:
        return prod(self.shape) // max(1, self.n)


@dataclass
class Sorting:
    """Stages in order with the operands of each: `x<k>`, `o<k>` (an output), `s<k>` (scratch)."""

    stages: list[tuple[Stage, tuple[str, ...]]]
    scratch: list[int]  # words


def place_dtype(node: g.Node, dim: int) -> np.dtype | None:
    """The dtype of an operand that counts along the sorted axis, so that no memory holds it."""
    return node.dtype if node.form == g.Iota(dim) and node.dtype.kind in "iu" else None


def job(
    node: g.Node, wanted: set[int], repeated: bool = False, host_is_quick: bool = True
) -> Job | None:
    """What a Sort or TopK node asks for, None where the host does it; `repeated`: in a loop, where
    each step of the host would wait for kernels; `host_is_quick`: NumPy sorts with vectors.
    """
    f = node.form
    if not all(sort_keys.sortable(x.dtype) for x in node.args) or prod(node.args[0].shape) >= 2**31:
        return None
    x = node.args[0]
    if isinstance(f, g.TopK):
        outs = (Out(0, x.dtype, 0), Out(None, np.dtype(np.int32), 1))
        outs = tuple(o for o in outs if o.index in wanted)
        return Job(x.shape, x.ndim - 1, (0,), outs, (x,), f.k, True)
    if len(node.args) == 1 and x.shape[f.dim] > (MOST_REPEATED if repeated else INSERTION):
        columns = prod(x.shape[f.dim + 1 :]) > 1
        if (host_is_quick and not columns) or not sort_keys.invertible(x.dtype):
            return None
        out = Out(0, x.dtype, 0)
        made = Job(x.shape, f.dim, (0,), (out,), (x,), x.shape[f.dim], alone=True)
        return made if is_long(made) or made.n >= ALONE else None
    outs = []
    for k, a in enumerate(node.args):
        counts = k >= f.num_keys and place_dtype(a, f.dim) is not None
        outs.append(Out(None if counts else k, a.dtype, k))
    outs = tuple(o for o in outs if o.index in wanted)
    return Job(x.shape, f.dim, tuple(range(f.num_keys)), outs, node.args, x.shape[f.dim])


def is_long(j: Job) -> bool:
    """Whether many items sort a row together."""
    return j.n >= LONG and j.rows <= 4


def plan(j: Job) -> Sorting:
    """The stages of a job."""
    return _long(j) if is_long(j) else _by_rows(j)


# ---------------------------------------------------------------- text of both


def _buffers(j: Job, operands: list[int], scratch: int) -> tuple[list[NestBuffer], tuple[str, ...]]:
    """Operands, then results, then scratch."""
    buffers = [NestBuffer(j.xs[k], j.xs[k].dtype, j.xs[k].size) for k in operands]
    names = [f"x{k}" for k in operands]
    for o in j.outs:
        node = g.Node(g.Input(-1), (), (j.rows * j.kept,), o.dtype)
        buffers.append(NestBuffer(node, o.dtype, node.size, True))
        names.append(f"o{o.index}")
    if scratch:
        node = g.Node(g.Input(-1), (), (scratch,), WORDS)
        buffers.append(NestBuffer(node, WORDS, scratch, True))
        names.append("s0")
    return buffers, tuple(names)


def _operands(j: Job) -> list[int]:
    gathered = {o.operand for o in j.outs if o.operand is not None}
    return sorted({*j.keys, *gathered})


def _words(j: Job) -> int:
    """Words of a key: the same for all keys of a job."""
    return max(sort_keys.bits(j.xs[k].dtype) for k in j.keys) // 32 or 1


def _key(j: Job, k: int, buffer: str, place: str) -> list[str]:
    """Lines that set `key` to the key of operand k's element at a place."""
    d = j.xs[k].dtype
    value = scalar.load(d, 1, f"{buffer} + base + {_times(place, j.stride)}")
    kind = "ulong" if _words(j) == 2 else "uint"
    return [
        f"const {scalar.register_type(d, 1)} v = {value};",
        f"const {kind} key = {sort_keys.text(d, 'v', j.descending, j.alone)};",
    ]


def _times(place: str, stride: int) -> str:
    return place if stride == 1 else f"(long){place} * {stride}"


def _base(j: Job, row: str) -> str:
    if j.stride == 1:
        return f"{row} * {j.n}"
    return f"{row} / {j.stride} * {j.n * j.stride} + {row} % {j.stride}"


def _outputs(j: Job, row: str, places: str, names: dict[str, str], ends: tuple[str, str]) -> list:
    """Loops that write the results of a row."""
    lines = [f"const long to = {row} * {j.kept};"] if j.stride == 1 else ["const long to = base;"]
    for o in j.outs:
        target = f"{names[f'o{o.index}']} + to + {_times('e', j.stride)}"
        if o.operand is None:
            element = scalar.register_type(o.dtype, 1)
            value = f"({element}){places}[e]"
        else:
            at = _times(f"{places}[e]", j.stride)
            value = scalar.load(o.dtype, 1, f"{names[f'x{o.operand}']} + base + {at}")
        put = scalar.store(o.dtype, 1, target, value)
        lines.append(f"for (uint e = {ends[0]}; e < {ends[1]}; ++e) {put};")
    return lines


# ---------------------------------------------------------------- rows, one item each


def _by_rows(j: Job) -> Sorting:
    n, words = j.n, _words(j)
    share = -(-j.rows // max(1, min(ITEMS, j.rows, j.rows * n // 4096)))
    items = -(-j.rows // share)
    room = -(-n // 16) * 16 + 16  # arrays a power of two apart would wait for each other
    own = room * 2 * (words + (not j.alone))
    total = items * own
    operands = _operands(j)
    buffers, order = _buffers(j, operands, total)
    names = {name: f"b{k}" for k, name in enumerate(order)}
    kind = "ulong" if words == 2 else "uint"
    passes = max(sort_keys.bits(j.xs[k].dtype) for k in j.keys) // DIGIT
    lines = [
        OWN_PART,
        f"__global uint *const own = {names['s0']} + item * {own};",
        f"__global {kind} *ka = (__global {kind} *)own, *kb = ka + {room};",
    ]
    if not j.alone:
        lines.append(f"__global uint *ia = own + {2 * room * words}, *ib = ia + {room};")
    if n > INSERTION:
        lines.append(f"uint count[{passes * BINS}];")
    lines.append("for (long r = lo; r < hi; ++r) {")
    body = [f"const long base = {_base(j, 'r')};"]
    for at, k in enumerate(reversed(j.keys)):
        place = "e" if at == 0 else "ia[e]"
        load = [*_key(j, k, names[f"x{k}"], place), "ka[e] = key;"]
        load += ["ia[e] = e;"] if at == 0 and not j.alone else []
        bits = sort_keys.bits(j.xs[k].dtype)
        if n <= INSERTION:
            body += _insertion(n, load, kind)
        elif selects(j):
            body += _selected(n, bits, j.kept, _key(j, k, names[f"x{k}"], "e"), kind)
            body += _passes("m", bits // DIGIT, [f"const {kind} key = ka[e];"], kind)
        else:
            body += _passes(str(n), bits // DIGIT, load, kind, _put_key(j, names))
    if not j.alone:
        body += _outputs(j, "r", "ia", names, ("0", str(j.kept)))
    lines += ["  " + x for x in body] + ["}"]
    cost = float(j.rows * n * (20 + 12 * passes * len(j.keys)))
    text = "\n".join("  " + x for x in lines)
    stage = Stage(text, buffers, [j.rows, share], items, 1, "sort", cost=cost)
    return Sorting([(stage, order)], [total])


def _insertion(n: int, load: list[str], kind: str) -> list[str]:
    return [
        f"for (uint e = 0; e < {n}; ++e) {{ {' '.join(load)} }}",
        f"for (uint e = 1; e < {n}; ++e) {{",
        f"  const {kind} key = ka[e];",
        "  const uint place = ia[e];",
        "  uint f = e;",
        "  for (; f > 0 && ka[f - 1] > key; --f) { ka[f] = ka[f - 1]; ia[f] = ia[f - 1]; }",
        "  ka[f] = key;",
        "  ia[f] = place;",
        "}",
    ]


def selects(j: Job) -> bool:
    """Whether few of a row's elements remain, so that most need not be sorted."""
    bits = sort_keys.bits(j.xs[j.keys[0]].dtype)
    return j.kept < j.n and len(j.keys) == 1 and bits >= 2 * DIGIT and 4 * j.kept <= j.n


def _selected(n: int, bits: int, kept: int, key: list[str], kind: str) -> list[str]:
    """Only the m elements whose first two digits let them be among the smallest keys go on, in
    their order.
    """
    high, low = bits - DIGIT, bits - 2 * DIGIT
    return [
        f"uint high[{BINS}], low[{BINS}];",
        f"for (uint d = 0; d < {BINS}; ++d) high[d] = low[d] = 0;",
        f"for (uint e = 0; e < {n}; ++e) {{",
        *(f"  {x}" for x in [*key, "ka[e] = key;", f"++high[(uint)(key >> {high})];"]),
        "}",
        "uint b = 0, c = 0, before = 0, m = 0;",
        f"while (before + high[b] < {kept}) before += high[b++];",
        f"for (uint e = 0; e < {n}; ++e)",
        f"  if ((uint)(ka[e] >> {high}) == b) ++low[(uint)((ka[e] >> {low}) & {BINS - 1})];",
        f"while (before + low[c] < {kept}) before += low[c++];",
        f"const {kind} limit = ({kind})b << {DIGIT} | c;",
        f"for (uint e = 0; e < {n}; ++e) {{",
        f"  const {kind} key = ka[e];",
        "  kb[m] = key;",
        "  ib[m] = e;",
        f"  m += key >> {low} <= limit;",
        "}",
        f"{{ __global {kind} *const x = ka; ka = kb; kb = x; }}",
        "{ __global uint *const x = ia; ia = ib; ib = x; }",
    ]


def _put_key(j: Job, names: dict[str, str]) -> str:
    """The last pass of keys alone puts an element to its place in the result; "" of others."""
    if not j.alone:
        return ""
    out, target = j.outs[0].dtype, f"{names['o0']} + base + {_times('to', j.stride)}"
    return scalar.store(out, 1, target, sort_keys.element(out, "key"))


def _passes(n: str, passes: int, load: list[str], kind: str, last: str = "") -> list[str]:
    """Counts of all digits in one walk, then a stable pass a digit; one that is the same everywhere
    needs none. Keys alone have no places beside them, and the `last` pass is another.
    """
    counts = [
        f"++count[{p * BINS} + (uint)((key >> {p * DIGIT}) & {BINS - 1})];" for p in range(passes)
    ]
    swaps = [f"{{ __global {kind} *const x = ka; ka = kb; kb = x; }}"]
    swaps += [] if last else ["{ __global uint *const x = ia; ia = ib; ib = x; }"]

    def moved(puts: list[str]) -> list[str]:
        return [
            "  uint sum = 0;",
            f"  for (uint d = 0; d < {BINS}; ++d) {{ const uint m = c[d]; c[d] = sum; sum += m; }}",
            f"  for (uint e = 0; e < {n}; ++e) {{",
            f"    const {kind} key = ka[e];",
            f"    const uint to = c[(uint)((key >> shift) & {BINS - 1})]++;",
            *(f"    {x}" for x in puts),
            "  }",
        ]

    lines = [
        f"for (uint d = 0; d < {passes * BINS}; ++d) count[d] = 0;",
        f"for (uint e = 0; e < {n}; ++e) {{ {' '.join([*load, *counts])} }}",
        f"for (uint p = 0; p < {passes - bool(last)}; ++p) {{",
        f"  uint *const c = count + p * {BINS};",
        f"  const uint shift = p * {DIGIT};",
        f"  if (c[(uint)((ka[0] >> shift) & {BINS - 1})] == {n}) continue;",
        *moved(["kb[to] = key;", *([] if last else ["ib[to] = ia[e];"])]),
        *(f"  {x}" for x in swaps),
        "}",
    ]
    if last:
        top = [f"uint *const c = count + {(passes - 1) * BINS};"]
        top += [f"const uint shift = {(passes - 1) * DIGIT};"]
        lines += ["{", *(f"  {x}" for x in top), *moved([f"{last};"]), "}"]
    return lines


# ---------------------------------------------------------------- one long row, many items


def _long(j: Job) -> Sorting:
    """Per key: keys and counts of each share; per digit: a launch that moves, one that counts."""
    made = _LongRow(j)
    for row in range(j.rows):
        made.row(row)
    return Sorting(made.stages, made.scratch)


class _LongRow:
    """Scratch: keys s0 and s1 (each launch reads one and writes the other), the counts of each
    share s2, and places s3 and s4.
    """

    def __init__(self, j: Job):
        self.j, self.words = j, _words(j)
        self.kind = "ulong" if self.words == 2 else "uint"
        self.share = -(-j.n // ITEMS)
        self.items = -(-j.n // self.share)
        self.scratch = [j.n * self.words] * 2 + [self.items * BINS]
        self.scratch += [] if j.alone else [j.n] * 2
        self.stages: list[tuple[Stage, tuple[str, ...]]] = []

    def row(self, row: int) -> None:
        j, now = self.j, 0
        for at, k in enumerate(reversed(j.keys)):
            self.load(row, k, at == 0, now)
            passes = sort_keys.bits(j.xs[k].dtype) // DIGIT
            for p in range(passes):
                if p:
                    self.count(p, now)
                if j.alone and p == passes - 1:
                    self.move_out(row, p, now)
                    return
                self.move(p, now)
                now = 1 - now
        self.outputs(row, now)

    def add(
        self, lines: list[str], given: list[tuple[NestBuffer, str]], ints: list[int], label: str
    ) -> None:
        last = f"min({self.j.n}L, {self.share} * (item + 1))"
        head = f"const uint lo = {self.share} * item, hi = {last};"
        text = "\n".join("  " + x for x in [head, *lines])
        cost = 20.0 * self.j.n
        buffers = [b for b, _ in given]
        stage = Stage(text, buffers, ints, self.items, 1, f"sort: {label}", cost=cost)
        self.stages.append((stage, tuple(name for _, name in given)))

    def words_of(self, k: int, written: bool = False) -> tuple[NestBuffer, str]:
        node = g.Node(g.Input(-1), (), (self.scratch[k],), WORDS)
        return NestBuffer(node, WORDS, node.size, written), f"s{k}"

    def keys_of(self, name: str, written: bool) -> str:
        const = "" if written else "const "
        return (
            f"__global {const}{self.kind} *const k{name} = (__global {const}{self.kind} *){name};"
        )

    def counted(self, shift: str, key: str) -> str:
        return f"++count[(uint)(({key} >> {shift}) & {BINS - 1})];"

    def write_counts(self, buffer: str) -> str:
        return f"for (uint d = 0; d < {BINS}; ++d) {buffer}[item * {BINS} + d] = count[d];"

    def load(self, row: int, k: int, first: bool, now: int) -> None:
        """Keys of an operand, in the order found so far, and counts of their lowest digit."""
        j = self.j
        given = [
            (NestBuffer(j.xs[k], j.xs[k].dtype, j.xs[k].size), f"x{k}"),
            self.words_of(now, True),
            self.words_of(2, True),
        ]
        key, place = _key(j, k, "b0", "e" if first else "b3[e]"), []
        if not j.alone:
            given.append(self.words_of(3 + now, first))
            place = ["b3[e] = e;"] if first else []
        lines = [
            "const long base = n0;",
            self.keys_of("b1", True),
            f"uint count[{BINS}];",
            f"for (uint d = 0; d < {BINS}; ++d) count[d] = 0;",
            "for (uint e = lo; e < hi; ++e) {",
            *(f"  {x}" for x in [*key, "kb1[e] = key;", *place, self.counted("0", "key")]),
            "}",
            self.write_counts("b2"),
        ]
        self.add(lines, given, [self.base(row)], "keys")

    def base(self, row: int) -> int:
        j = self.j
        return row // j.stride * j.n * j.stride + row % j.stride

    def count(self, p: int, now: int) -> None:
        lines = [
            self.keys_of("b0", False),
            f"uint count[{BINS}];",
            f"for (uint d = 0; d < {BINS}; ++d) count[d] = 0;",
            f"for (uint e = lo; e < hi; ++e) {self.counted('n0', 'kb0[e]')}",
            self.write_counts("b1"),
        ]
        given = [self.words_of(now), self.words_of(2, True)]
        self.add(lines, given, [p * DIGIT], "count")

    def moving(self, body: list[str]) -> list[str]:
        """Each share's elements go behind those of smaller digits and of earlier shares: `body`
        puts `key`, which element e has, at the place `at`.
        """
        return [
            self.keys_of("b0", False),
            f"uint to[{BINS}];",
            "uint sum = 0;",
            f"for (uint d = 0; d < {BINS}; ++d) {{",
            f"  for (uint c = 0; c < {self.items}; ++c) {{",
            "    if (c == item) to[d] = sum;",
            f"    sum += b1[c * {BINS} + d];",
            "  }",
            "}",
            "for (uint e = lo; e < hi; ++e) {",
            f"  const {self.kind} key = kb0[e];",
            f"  const uint at = to[(uint)((key >> n0) & {BINS - 1})]++;",
            *("  " + x for x in body),
            "}",
        ]

    def move(self, p: int, now: int) -> None:
        given = [self.words_of(now), self.words_of(2), self.words_of(1 - now, True)]
        body = ["kb2[at] = key;"]
        if not self.j.alone:
            given += [self.words_of(3 + now), self.words_of(4 - now, True)]
            body.append("b4[at] = b3[e];")
        self.add([self.keys_of("b2", True), *self.moving(body)], given, [p * DIGIT], "move")

    def move_out(self, row: int, p: int, now: int) -> None:
        """The last pass of keys without places: they are elements again."""
        j = self.j
        (out,), order = _buffers(j, [], 0)
        given = [self.words_of(now), self.words_of(2), (out, order[0])]
        target = f"b2 + n1 + {_times('at', j.stride)}"
        value = sort_keys.element(j.outs[0].dtype, "key")
        body = [f"{scalar.store(j.outs[0].dtype, 1, target, value)};"]
        self.add(self.moving(body), given, [p * DIGIT, self.base(row)], "move")

    def outputs(self, row: int, now: int) -> None:
        j = self.j
        operands = sorted({o.operand for o in j.outs if o.operand is not None})
        buffers, order = _buffers(j, operands, 0)
        names = {name: f"b{k}" for k, name in enumerate(order)}
        given = [*zip(buffers, order), self.words_of(3 + now)]
        lines = [
            "const long base = n0;",
            f"const uint end = hi < {j.kept}u ? hi : {j.kept}u;",
            *_outputs(j, str(row), f"b{len(buffers)}", names, ("lo", "end")),
        ]
        self.add(lines, given, [self.base(row)], "gather")
