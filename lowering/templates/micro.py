"""The register tile: rows x vectors of sums over a block of k, a function that products share.

Its name says all: `tile_f32x8_6x2_l1k(` is 6 rows by 2 vectors of 8 floats, then how A's rows
(p: panels, l: one stride, t: a table), A's k (p, 1: contiguous, k: one stride, o: a table) and
B's k (p, k) are walked. `panel_f32x8_16r(` fills the kernel's own panels of 16 lanes (r: lanes
side by side, c: k), `panel_f32x8_16r_bf16(` from bfloat16, `panel_i32x8_16r_i8(` from int8;
`stream_f32x8_1_f32_bf16(` streams rows. `source` writes what a text calls, as `mathlib` does.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from lowering.rewrite.product import Product
from lowering.scalar_text import cast, contraction

_CALL = re.compile(r"tile_([fiu]\d+|q[us]{2})x(\d+)_(\d+)x(\d+)_([plt])([p1ko])([pk])(?=\()")
_STREAM = re.compile(r"stream_([fiu]\d+)x(\d+)_(\d+)_(\w+)_(\w+)(?=\()")
_FILL = re.compile(r"panel_([fiu]\d+)x(\d+)_(\d+)([rc])_(\w+)(?=\()")


KINDS = {"f32": "float", "f64": "double", "i32": "int", "u32": "uint"}
WHOLE = {"i8": "char", "u8": "uchar", "i16": "short", "u16": "ushort"}
"""Integers that are only stored: a product widens them where it reads them."""
QUADS = ("qus", "qsu", "qss", "quu")
"""Numbers that are four integers of 8 bits, by the signs of A's and B's."""
FOURS = {"qi8": "", "qx8": " ^ (int)0x80808080"}
"""Fours that are packed from memory: as they are, or 128 more (signed to unsigned) or less."""


def element(dtype: np.dtype) -> str:
    """A type of numbers as the functions' names have it: f32, i32, bf16, ..."""
    return f"{'bf' if dtype.kind == 'V' else dtype.kind}{8 * dtype.itemsize}"


FOUR_TYPES = "\n".join(
    f"typedef {kind}{lanes or ''} __attribute__((aligned(1))) {name}_{lanes or 1};"
    for name, kind in (("row_of", "uchar"), ("fours", "int"))
    for lanes in (0, 8, 16)
)


def memory(stored: str) -> str:
    """The C type of elements in memory."""
    return "uchar" if stored in FOURS else (KINDS | WHOLE).get(stored, "ushort")


def _read(kind: str, stored: str, width: int, pointer: str) -> str:
    """So many elements at `pointer` in registers of `kind`; narrow ones are widened."""
    if stored in FOURS:
        return _fours(stored, width, pointer)
    vector = f"(__global const {memory(stored)}{width}_u *)" if width > 1 else ""
    text = f"*{vector}({pointer})"
    if stored in WHOLE:
        return cast(kind, width, text)
    return text if stored in KINDS else f"from_{stored}_u16x{width}({text})"


def _fours(stored: str, width: int, pointer: str) -> str:
    """Fours of lanes side by side: their integers are `q_k` apart."""
    parts = []
    for j in range(4):
        text = f"*(__global const row_of_{width} *)({pointer} + {j} * q_k)"
        parts.append(f"({cast('int', width, text)} << {8 * j})")
    return f"(({' | '.join(parts)}){FOURS[stored]})"


def name(form: Product, dtype: np.dtype, width: int) -> str:
    """The function that computes a tile of `form` in vectors of `width` numbers."""
    a, b = form.a, form.b
    own = "p" if a.panel or a.packed else ""
    rows = own or ("t" if a.lane is None else "l")
    k = own or ("o" if a.k is None else "1" if a.k == 1 else "k")
    right = "p" if b.panel or b.packed else "k"
    number = f"q{form.quads}" if form.quads else element(dtype)
    return f"tile_{number}x{width}_{form.rows}x{form.columns // width}_{rows}{k}{right}"


def fill(dtype: np.dtype, width: int, lanes: int, along_k: bool, stored: np.dtype) -> str:
    """The function that copies elements into panels of so many lanes."""
    begin = panels(element(dtype), width, lanes)
    return f"{begin}{'c' if along_k else 'r'}_{element(stored)}"


def fill_fours(width: int, lanes: int, along_k: bool, shifted: bool) -> str:
    """The same of fours; `shifted`: signed ones as unsigned."""
    begin = panels("i32", width, lanes)
    return f"{begin}{'c' if along_k else 'r'}_{'qx8' if shifted else 'qi8'}"


def panels(number: str, width: int, lanes: int) -> str:
    """The begin of such a function's name: narrow panels are copied by vectors of their lanes."""
    return f"panel_{number}x{lanes if lanes in (2, 4) else width}_{lanes}"


def stream(dtype: np.dtype, width: int, rows: int, a: np.dtype, b: np.dtype) -> str:
    """The function that adds the products of k1 columns of so many rows of A and k1 rows of B."""
    return f"stream_{element(dtype)}x{width}_{rows}_{element(a)}_{element(b)}"


def panel_size(lanes: int, width: int, block: int) -> int:
    """From one panel to the next: vectors are stored whole, so beyond a panel, too; a line more
    keeps panels off the same sets of the cache.
    """
    return lanes * block + max(16, (-lanes) % width)


def together(lanes: int) -> int:
    """How many panels are filled together."""
    return max(1, TOGETHER // lanes)


def source(text: str) -> str:
    """The functions of tiles and panels that `text` calls."""
    tiles = [_function(*call) for call in sorted(set(_CALL.findall(text)))]
    fills = [_filler(*call) for call in sorted(set(_FILL.findall(text)))]
    streams = [_streamer(*call) for call in sorted(set(_STREAM.findall(text)))]
    kinds = [FOUR_TYPES] if any(call[-1] in FOURS for call in _FILL.findall(text)) else []
    return "\n".join([*kinds, *fills, *streams, *([ALIGN] if tiles else []), *tiles])


@cache
def _streamer(number, width, rows, a_stored, b_stored) -> str:
    """`t`, rows `size` apart, = or += the products for `count` columns: several rows of B pass the
    sums at once, each row in one piece, which is how memory is read fastest.
    """
    w, m = int(width), int(rows)
    kind = KINDS[number]
    vec = f"{kind}{w}"

    def step(u: int) -> list[str]:
        out = []
        for r in range(m):
            at = f"({r} < last ? {r} : last) * a_lane + " if r else ""
            of_k = [f"a + ({at}(k + {j}) * a_k)" for j in range(u)]
            xs = [f"x{r}_{j} = {_read(kind, a_stored, 1, p)}" for j, p in enumerate(of_k)]
            out.append(f"    const {kind} {', '.join(xs)};")
        for one, head in (
            (vec, f"int c = 0; for (; c + {w} <= count; c += {w})"),
            (kind, "for (; c < count; ++c)"),
        ):
            place = f"{one}_u" if one == vec else one
            lanes = w if one == vec else 1
            at = [f"b + ({j} * b_k + c)" for j in range(u)]
            vs = [f"v{j} = {_read(kind, b_stored, lanes, p)}" for j, p in enumerate(at)]
            out.append(f"    {head} {{ const {one} {', '.join(vs)};")
            for r in range(m):
                out.append(f"      {{ {one} s = *({place} *)(t + {r} * size + c);")
                out.append("        " + " ".join(f"s = x{r}_{j} * v{j} + s;" for j in range(u)))
                out.append(f"        *({place} *)(t + {r} * size + c) = s; }}")
            out.append("    }")
        return [*out, f"    b += {u} * b_k;"]

    many = {1: 8, 2: 4, 3: 4}.get(m, 2)
    return "\n".join(
        [
            f"FX_PART void stream_{number}x{width}_{rows}_{a_stored}_{b_stored}(",
            f"    __global const {memory(a_stored)} *a, __global const {memory(b_stored)} *b,",
            "    const long a_lane, const int last, const long a_k,",
            f"    const long b_k, const int k1, const int count, {kind} *t, const int size,",
            "    const int more) {",
            f"  {contraction()}",
            f"  if (!more) for (int c = 0; c < {m} * size; ++c) t[c] = 0;",
            f"  int k = 0; for (; k + {many} <= k1; k += {many}) {{",
            *step(many),
            "  }",
            "  for (; k < k1; ++k) {",
            *step(1),
            "  }",
            "}",
        ]
    )


AHEAD = 8  # rows that are asked for before they are copied: each begins on another page
TOGETHER = 64  # lanes whose panels are filled together
LONG = 16  # lanes of a vector, of which squares are turned in a loop: 33 ms of a build, then 13
PLAIN = "  #pragma clang loop vectorize(disable) unroll(disable)"


@cache
def _filler(number, width, lanes, order, stored) -> str:
    """Panels, `size` apart, of k1 rows of `lanes` elements each, from `count` lanes of which
    `there` may be read; what lies beyond them is zero, or repeats the last.
    """
    w, n = int(width), int(lanes)
    kind = KINDS[number]
    head = [
        f"FX_PART void panel_{number}x{width}_{lanes}{order}_{stored}(",
        f"    __global const {memory(stored)} *x,",
        "    const long x_lane, const long x_k, const int count, const int there, const int k1,",
        f"    __global {kind} *p, const long size) {{",
    ]
    if stored in FOURS:
        head.append("  const long q_k = x_k / 4;")
    lines = _rows_side_by_side if order == "r" else _columns_in_one_piece
    body = lines(kind, w, n, stored)
    return "\n".join([*head, *body, "}"])


def _rows_side_by_side(kind: str, w: int, n: int, stored: str) -> list[str]:
    """A few panels at a time: each is written in one piece, and they are on as many pages."""
    vectors = -(-n // w)
    vec = f"{kind}{w}_u"
    reads = [_read(kind, stored, w, f"y + c + {j * w}") for j in range(vectors)]
    copies = [f"*(__global {vec} *)(q + {j * w}) = {x};" for j, x in enumerate(reads)]
    clear = " ".join(f"*(__global {vec} *)(q + {j * w}) = 0;" for j in range(vectors))
    whole = [f"if (c + {(j + 1) * w} <= there) {x}" for j, x in enumerate(copies[:-1])]
    one = _read(kind, stored, 1, "y + c + j")
    some, half = together(n), w // 2
    left = f"int j = (there - c) / {w} * {w};"
    if half > 4:
        part = f"*(__global {kind}{half}_u *)(q + j) = {_read(kind, stored, half, 'y + c + j')};"
        left += f" if (j + {half} <= there - c) {{ {part} j += {half}; }}"
    return [
        f"  for (int c0 = 0; c0 < count; c0 += {some * n}, p += {some} * size) {{",
        f"    const int c1 = (count < c0 + {some * n} ? count : c0 + {some * n});",
        f"    __global const {memory(stored)} *y = x;",
        "    for (int k = 0; k < k1; ++k, y += x_k) {",
        f"      __global {kind} *q = p + k * {n};",
        f"      for (int c = c0; c < c1; c += {n}, q += size)",
        f"        if (c + {vectors * w} <= there) {{",
        f"          __builtin_prefetch(y + c + {AHEAD} * x_k); {' '.join(copies)}",
        "        } else {",
        f"          {clear} {' '.join(whole)}",
        f"          {left}",
        "    " + PLAIN,
        f"          for (; j < there - c; ++j) q[j] = {one};",
        "        }",
        "    }",
        "  }",
    ]


def _columns_in_one_piece(kind: str, w: int, n: int, stored: str) -> list[str]:
    """Squares of w x w are turned in registers; the last ends where the lanes do, or writes beyond
    them what the next k overwrites.
    """
    at = "c + j + e"

    def read(width: int, e: str | int) -> str:
        if stored not in FOURS:
            return _read(kind, stored, width, f"y[{e}] + k")
        return f"(*(__global const fours_{width} *)(y[{e}] + 4 * k){FOURS[stored]})"

    lines = [
        f"  for (int c = 0; c < count; c += {n}, p += size)",
        f"    for (int i = 0; i < {n}; i += {w}) {{",
        f"      const int j = {f'(i < {n - w} ? i : {n - w})' if n % w and n > w else 'i'};",
        f"      __global const {memory(stored)} *y[{w}];",
        PLAIN,
        f"      for (int e = 0; e < {w}; ++e)",
        f"        y[e] = x + ({at} < there ? {at} : there - 1) * x_lane;",
        f"      __global {kind} *q = p + j;",
        "      int k = 0;",
        f"      for (; k + {w} <= k1; k += {w}, q += {w * n}) {{",
    ]
    for i in range(w):
        lines.append(f"        {kind}{w} v{i} = {read(w, i)};")
    turned, names = (_turned_in_a_loop if w >= LONG else _turned)(kind, w)
    lines += turned
    for i, v in enumerate(names):
        lines.append(f"        *(__global {kind}{w}_u *)(q + {i * n}) = {v};")
    rest = f"for (int e = 0; e < {w}; ++e) q[e] = {read(1, 'e')};"
    return [
        *lines,
        "      }",
        f"      for (; k < k1; ++k, q += {n})",
        PLAIN,
        f"        {rest}",
        "    }",
    ]


def _turned(kind: str, w: int) -> tuple[list[str], list[str]]:
    """A square of w vectors to that of its columns, and their names: halves change places, then
    halves of these.
    """
    lines, names = [], [f"v{i}" for i in range(w)]
    d = w // 2
    while d:
        fresh = list(names)
        for i in range(w):
            if i & d:
                continue
            a, c = names[i], names[i | d]
            low = [e if not e & d else w + (e ^ d) for e in range(w)]
            high = [e | d if not e & d else w + e for e in range(w)]
            for k, lanes in ((i, low), (i | d, high)):
                fresh[k] = f"u{d}_{k}"
                text = f"__builtin_shufflevector({a}, {c}, {', '.join(map(str, lanes))})"
                lines.append(f"        const {kind}{w} {fresh[k]} = {text};")
        names, d = fresh, d // 2
    return lines, names


def _turned_in_a_loop(kind: str, w: int) -> tuple[list[str], list[str]]:
    """The same by turns that are all alike, two at a time: vectors of the two halves, lane by lane.
    As many shuffles, half of the code.
    """
    half = w // 2
    low = ", ".join(f"{e}, {w + e}" for e in range(half))
    high = ", ".join(f"{half + e}, {w + half + e}" for e in range(half))
    lines = []
    for x, y, begin in (("v", "u", f"const {kind}{w} "), ("u", "v", "")):
        for i in range(half):
            for k, lanes in ((2 * i, low), (2 * i + 1, high)):
                text = f"__builtin_shufflevector({x}{i}, {x}{i + half}, {lanes})"
                lines.append(f"          {begin}{y}{k} = {text};")
    head = f"        for (int turn = 1; turn < {w}; turn *= 4) {{"
    return [PLAIN, head, *lines, "        }"], [f"v{i}" for i in range(w)]


# The loop of a tile begins where a line of code does: one line more for each of its turns takes a
# twentieth more time. What is held in registers is made before that place, not between it and the
# loop.
ALIGN = """#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX__)
#define FX_HELD32(...) __asm__ volatile("" : __VA_ARGS__);
#define FX_ALIGN __asm__ volatile(".p2align 6");
#else
#define FX_HELD32(...)
#define FX_ALIGN
#endif
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX512F__)
#define FX_HELD64(...) __asm__ volatile("" : __VA_ARGS__);
#else
#define FX_HELD64(...)
#endif"""


@cache
def _function(number, width, rows, vectors, a_rows, a_k, b_k) -> str:
    """`t` = or += the products of k1 columns of A from `a` on, and k1 rows of B from `b` on."""
    w, m, v = int(width), int(rows), int(vectors)
    kind = KINDS.get(number, "int")
    vec = f"{kind}{w}" if w > 1 else kind
    shifted = [f"s{j}" for j in range({"qss": v, "quu": m}.get(number, 0))]
    sums = [[f"c{r}_{j}" for j in range(v)] for r in range(m)]
    head = f"tile_{number}x{width}_{rows}x{vectors}_{a_rows}{a_k}{b_k}"
    lines = [
        f"FX_PART void {head}(__global const {kind} *a, __global const {kind} *b,",
        "    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,",
        f"    const long b_k, const int k1, {kind} *t, const long ld, const int more) {{",
        f"  {contraction()}",
        *(f"  {vec} {', '.join(f'{c} = 0' for c in row)};" for row in [*sums, shifted] if row),
    ]
    for r in range(m):
        if a_rows == "t":
            lines.append(f"  long l{r} = ro[{r}];")
        elif a_rows == "l" and r:
            lines.append(f"  long l{r} = ({r} < last ? {r} : last) * a_lane;")
    a_step = {"p": str(m), "1": "1", "k": "a_k", "o": ""}[a_k]
    b_step = "b_k" if b_k == "k" else str(w * v)

    def step(u: int) -> list[str]:
        loads = [f"v{j} = *(__global const {vec}_u *)(b + {j * w})" for j in range(v)]
        out = [f"    {{ const {vec} {', '.join(loads)};"]
        if a_k == "o":  # one address an element, not two: registers are scarce here
            out.append(f"      __global const {kind} *y = a + ko[k{f' + {u}' if u else ''}];")
        base = "y" if a_k == "o" else "a"
        for r, row in enumerate(sums):
            at = (
                str(r) if a_k == "p" else f"l{r}" if a_rows == "t" or (r and a_rows == "l") else "0"
            )
            text = " ".join(_added(number, c, f"v{j}") for j, c in enumerate(row))
            text += f" {_added(number, f's{r}', ONES)}" if number == "quu" else ""
            out.append(f"      {{ const {vec} x = ({vec})({base}[{at}]); {text} }}")
        if number == "qss":
            out += [f"      {_added(number, s, f'v{j}', ONES)}" for j, s in enumerate(shifted)]
        move = f" a += {a_step};" if a_step else ""
        return [*out, f"      b += {b_step};{move} }}"]

    held = [f'"+r"(l{r})' for r in range(a_rows == "l", m)] if a_rows in "lt" else []
    held += [f'"+v"({c})' for row in sums for c in row]
    size = 64 if w * (32 if number in QUADS else int(number[1:])) > 256 else 32
    lines += ["  int k = 0;"]
    lines += [f"  FX_HELD{size}({', '.join(held[i : i + 8])})" for i in range(0, len(held), 8)]
    # two steps an iteration: with one, PoCL keeps the sums in memory
    lines += ["  FX_ALIGN", "  for (; k + 2 <= k1; k += 2) {", *step(0), *step(1), "  }"]
    lines += ["  if (k1 & 1) {", *step(0), "  }"]
    lines += _taken_back(number, sums, shifted)
    places = [
        (c, f"*({vec}_u *)(t + {f'{r} * ld + ' if r else ''}{j * w})")
        for r, row in enumerate(sums)
        for j, c in enumerate(row)
    ]
    lines.append(f"  if (more) {{ {' '.join(f'{c} += {at};' for c, at in places)} }}")
    lines.append("  " + " ".join(f"{at} = {c};" for c, at in places))
    return "\n".join([*lines, "}"])


ONES = "(int16)(0x01010101)"


def _added(number: str, total: str, v: str, x: str = "x") -> str:
    """The sum and x times v; of fours the instruction wants the unsigned ones first."""
    if number not in QUADS:
        return f"{total} = {x} * {v} + {total};"
    pair = f"{v}, {x}" if number == "qsu" else f"{x}, {v}"
    return f"{total} = __builtin_ia32_vpdpbusd512({total}, {pair});"


def _taken_back(number: str, sums: list[list[str]], shifted: list[str]) -> list[str]:
    """What A's numbers being 128 more has added, by columns; or B's being less has taken, by
    rows.
    """
    if number == "qss":
        return [f"  {row[j]} -= {s} << 7;" for j, s in enumerate(shifted) for row in sums]
    return [f"  {c} += {s} << 7;" for s, row in zip(shifted, sums) for c in row]
