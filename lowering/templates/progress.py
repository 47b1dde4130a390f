"""Progress: the loops of a product with an epilogue, as functions that go on where they stopped.

A stage whose sums are read by an epilogue is `begin_f32_f32_f32(`, and then, until it is zero,
`next_f32x16_8x2_l1p_none_rows_f32_f32(`, named as the tile, by how panels of A and B are filled and
by the operands' types in memory: the sums of the next rows of a strip are there, and the stage's
own function does with them what the program wants. How far an item is, and where its operands are,
is a structure; so the seven loops of a product are compiled once for all programs, as a tile is
(docs/why/shared-loops.md).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from string import Template

import numpy as np

from lowering.rewrite.product import Access, Product
from lowering.templates import micro
from lowering.templates.blocks import GROUP

_CALL = re.compile(
    r"next_([fiu]\d+)x(\d+)_(\d+)x(\d+)_([a-z1]{3})_([a-z]+)_([a-z]+)_(\w+)_(\w+)(?=\()"
)
FILLS = {"rows": "r", "columns": "c"}  # as `micro.fill` has them
NUMBERS = (
    *("M", "N", "K", "RB", "CB", "RT", "CT", "OT", "OB", "ST", "KB", "KD", "GR"),
    *("x_step", "x_block", "x_room", "y_step", "y_block", "y_last"),
    *("a_lane", "a_k", "b_lane", "b_k", "a_start", "b_start"),
    *("inner", "a_outer", "a_inner", "b_outer", "b_inner"),
    *("needed", "by_row", "by_column"),
)
"""A stage's first arguments, by their names in these functions: sizes (of the product, of blocks,
GR: rows that are done together), distances in panels or in place, the operands' strides; and an
index of a tile's first row and column that is negative where nobody reads the tile.
"""
_BETWEEN = str.maketrans(dict.fromkeys(set(string.punctuation) - {"_"}, " "))  # words of a text
LINE = 16  # elements: panels begin apart from the sums before them
DONE, SUMS, SOON = 0, 1, 2
"""What `next` says: there are no more; sums are there; they will be (`ask`: it is wanted)."""


def number(name: str) -> str:
    """One of these numbers where the structure is `s`."""
    return f"s->n[{NUMBERS.index(name)}]"


def call(form: Product, dtype: np.dtype, width: int, stored: Sequence[np.dtype]) -> str:
    """The name of `next` for these tiles, for how their panels are filled, and from what."""
    tile = micro.name(form, dtype, width).removeprefix("tile_")
    return f"next_{tile}_{fill(form.a)}_{fill(form.b)}_{types(stored)}"


def types(stored: Sequence[np.dtype]) -> str:
    """The operands' types in memory as names have them."""
    return "_".join(map(micro.element, stored))


def fill(access: Access) -> str:
    """How panels of an operand are filled."""
    if not access.panel:
        return "none"
    return "columns" if access.k == 1 else "rows"


def source(text: str) -> str:
    """The functions of this kind that `text` calls."""
    found = sorted(set(_CALL.findall(text)))
    parts = [_PLACES] if "places(" in text else []
    for number, *stored in sorted({(call[0], *call[-2:]) for call in found}):
        own = {"T": micro.KINDS[number], "LINE": LINE} | _stored(number, *stored)
        parts.append(_declared(_BEGIN.safe_substitute(own)))
    return "\n".join([*parts, *(_next(*call) for call in found)])


def _stored(number: str, a: str, b: str) -> dict[str, str]:
    """What the operands' types in memory make of names, and of pointers."""
    kinds = {"A": micro.memory(a), "B": micro.memory(b), "a_type": a, "b_type": b}
    return kinds | {"state": f"{number}_{a}_{b}"}


def _next(number, width, rows, vectors, walk, a, b, *stored: str) -> str:
    own = words(number, width, rows, vectors) | {"walk": walk, "a_fill": a, "b_fill": b}
    own |= _stored(number, *stored)
    own |= {"DONE": DONE, "SUMS": SUMS, "SOON": SOON}
    x, y = (_IN_PLACE if fill == "none" else _PANELS for fill in (a, b))
    own |= {"x": Template(x[0]).substitute(own), "y": Template(y[1]).substitute(own)}
    own |= {"of_x": "ao" if a == "none" else "x", "of_y": "bo" if b == "none" else "y"}
    own["fill_a"] = _FILL_A.substitute(own, order=FILLS[a]) if a != "none" else ""
    own["fill_b"] = _FILL_B.substitute(own, order=FILLS[b]) if b != "none" else ""
    return _declared(_NEXT.safe_substitute(own))


def _declared(text: str) -> str:
    """The text with the numbers that it uses in place of "$numbers"."""
    used = set(text.translate(_BETWEEN).split())
    numbers = [f"{name} = n[{k}]" for k, name in enumerate(NUMBERS) if name in used]
    return text.replace("$numbers", ", ".join(numbers))


def words(number: str, width: str, rows: str, vectors: str) -> dict[str, str | int]:
    """What stands in texts for a family of tiles."""
    kind = micro.KINDS[number]
    return {
        "family": f"{number}x{width}_{rows}x{vectors}",
        "number": number,
        "fill_rows": micro.panels(number, int(width), int(rows)),
        "fill_columns": micro.panels(number, int(width), int(width) * int(vectors)),
        "T": kind,
        "V": f"{kind}{width}_u",
        "W": width,
        "R": rows,
        "C": int(width) * int(vectors),
        "G": GROUP * int(rows),
    }


_IN_PLACE = (
    "x + r / $R * x_step + k0 * a_k",
    "y + (t / $C * y_step < y_last ? t / $C * y_step : y_last) + k0 * b_k",
)
_PANELS = ("x + kb * x_block + (r - r0) / $R * x_step", "y + kb * y_block + (t - s0) / $C * y_step")
"""Where a tile's operands are."""

_FILL_A = Template("""
      $fill_rows${order}_$a_type(s->ao + s->r0 * a_lane + s->d0 * a_k, a_lane, a_k,
        s->r1 - s->r0, M - s->r0, s->d1 - s->d0, s->x, x_step);""")
_FILL_B = Template("""
        for (int k0 = s->d0, kb = 0; k0 < s->d1; k0 += KB, ++kb)
          $fill_columns${order}_$b_type(s->bo + s->s0 * b_lane + k0 * b_k, b_lane, b_k,
            s->s1 - s->s0, N - s->s0, (s->d1 - k0 < KB ? s->d1 - k0 : KB), s->y + kb * y_block,
            y_step);""")

_BEGIN = Template("""typedef struct {
  __global const $A *a, *ao;
  __global const $B *b, *bo;
  __global $T *x, *y;
  $T *acc, *sums;
  const int *ro, *ko;
  const long *n;
  int o, o1, m0, m1, q0, q1, s0, s1, d0, d1, r0, r1, soon;
} progress_$state;
FX_PART void begin_$state(progress_$state *s, const int item,
    __global const $A *a, __global const $B *b, $T *acc, const int *ro, const int *ko,
    const long *n) {
  const long $numbers;
  const int ir = item % RB, ic = item / RB % CB, io = item / RB / CB;
  s->a = a + a_start, s->b = b + b_start, s->ro = ro, s->ko = ko, s->n = n;
  s->o = io * OT - 1, s->o1 = (OB < (io + 1) * OT ? OB : (io + 1) * OT);
  s->m0 = ir * RT, s->m1 = (M < s->m0 + RT ? M : s->m0 + RT);
  s->q0 = ic * CT, s->q1 = (N < s->q0 + CT ? N : s->q0 + CT);
  s->s1 = s->q1, s->d1 = K, s->r1 = s->m1, s->soon = 0;
  s->acc = acc;
  s->x = (__global $T *)(ulong)(acc + ((K > KD ? RT : GR) * ST + $LINE - 1) / $LINE * $LINE);
  s->y = s->x + x_room;
}""")

_PLACES = """FX_PART void places(int *to, const int start, const int count, const int end,
    const long *digits, const int of) {
  int at[16], value = 0, rest = start;
  for (int j = 0; j < of; ++j) {
    const int n = digits[2 * j];
    at[j] = rest % n, rest /= n;
    value += at[j] * (int)digits[2 * j + 1];
  }
  for (int r = 0; r < count; ++r) {
    to[r] = value;
    if (start + r + 1 >= end) continue;
    for (int j = 0; j < of; ++j) {
      const int n = digits[2 * j], one = digits[2 * j + 1];
      value += one;
      if (++at[j] < n) break;
      value -= n * one, at[j] = 0;
    }
  }
}"""
"""Where the numbers from `start` on lead, each digit of them (the first counts fastest) with how
many values it has and what one more of it adds; from `end` on the last of these again.
"""
MOST_DIGITS = 16

_NEXT = Template("""FX_PART int next_${family}_${walk}_${a_fill}_${b_fill}_${a_type}_$b_type(
    const int ask, progress_$state *s) {
  const long *n = s->n;
  const long $numbers;
  for (;;) {
    if (!s->soon) {
      s->r0 = s->r1;
      if (s->r0 >= s->m1) {
        s->r0 = s->m0, s->d0 = s->d1;
        if (s->d0 >= K) {
          s->d0 = 0, s->s0 = s->s1;
          if (s->s0 >= s->q1) {
            s->s0 = s->q0;
            if (++s->o >= s->o1) return $DONE;
            const int oo = s->o / (int)inner, oi = s->o % (int)inner;
            s->ao = s->a + oo * a_outer + oi * a_inner;
            s->bo = s->b + oo * b_outer + oi * b_inner;
          }
          s->s1 = (s->q1 < s->s0 + ST ? s->q1 : s->s0 + ST);
        }
        s->d1 = (K < s->d0 + KD ? K : s->d0 + KD);$fill_b
      }
      s->r1 = (s->m1 < s->r0 + GR ? s->m1 : s->r0 + GR);$fill_a
      s->sums = s->acc + (K > KD ? (s->r0 - s->m0) * ST : 0);
      if (ask && s->d1 == K) {
        s->soon = 1;
        return $SOON;
      }
    }
    s->soon = 0;
    __global const $T *x = s->$of_x, *y = s->$of_y;
    const int r0 = s->r0, r1 = s->r1, s0 = s->s0, s1 = s->s1, d1 = s->d1;
    const int *ro = s->ro + (r0 - s->m0), *ko = s->ko;
    $T *sums = s->sums;
    for (int r = r0; r < r1; r += $R, ro += $R, sums += $R * ST)
      for (int k0 = s->d0, kb = 0; k0 < d1; k0 += KB, ++kb) {
        const int k1 = (d1 - k0 < KB ? d1 - k0 : KB);
        for (int t = s0; t < s1; t += $C)
          if (needed + by_row * r + by_column * t >= 0)
            tile_${family}_$walk($x, $y, a_lane, ro, M - 1 - r, a_k, ko + k0, b_k,
              k1, sums + (t - s0) * $R, $C, k0);
      }
    if (s->d1 == K) return $SUMS;
  }
}""")
