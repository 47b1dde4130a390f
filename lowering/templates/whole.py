"""Whole products that are only stored, and all panels of a strip: functions between the tile
(`micro`) and the stage, which the products of a program share (docs/why/shared-loops.md).

`whole_f32x8_6x2(by_l1p, fill_none, fill_columns, ...` is a call for tiles of 6 x 2 vectors of 8
floats: how a tile walks its operands, as in the tile's name, then how A's panel of a row tile and
B's panels are filled, which `fills_f32x8_6x2(` does.
"""

from __future__ import annotations

import re
from string import Template

import numpy as np

from lowering.rewrite.product import Product
from lowering.templates import micro, progress

_CALLS = [  # each begins with letters: found many times faster
    re.compile(rf"({first})_([fiu]\d+)x(\d+)_(\d+)x(\d+)\(by_(\w+), fill_(\w+), fill_(\w+)(?=,)")
    for first in ("fills", "whole")
]


def begin(first: str, form: Product, dtype: np.dtype, width: int, last: int = 0) -> str:
    """The begin of a call of `first`, which is fills or whole; `last`: columns of a row's last tile
    where they are fewer.
    """
    tile = micro.name(form, dtype, width).removeprefix("tile_")
    family, walk = tile.rsplit("_", 1)
    a, b = progress.fill(form.a), progress.fill(form.b)
    return f"{first}_{family}(by_{walk}{last or ''}, fill_{a}, fill_{b}"


def source(text: str) -> str:
    """The functions that `text` calls, and all that these call in turn; they do what calls need."""
    found = sorted({call for pattern in _CALLS for call in pattern.findall(text)})
    words = sorted({word for *_, a_fill, b_fill in found for word in (a_fill, b_fill)} - {"none"})
    walks = sorted({call[5] for call in found})
    numbers = [f"#define by_{walk} {k}" for k, walk in enumerate(walks)]
    numbers += [f"#define fill_{w} {k}" for k, w in enumerate(["none", *words])] if found else []
    functions = []
    for family in sorted({call[1:5] for call in found}):
        calls = [call for call in found if call[1:5] == family]
        functions.append(_fills(family, calls))
        calls = [call for call in calls if call[0] == "whole"]
        if calls:
            functions.append(_whole(family, calls))
    functions.append(progress.source(text))
    own = "\n".join(x for x in (*numbers, *functions) if x)
    return "\n".join(part for part in (micro.source(own + text), own) if part)


def _fills(family: tuple[str, ...], calls: list[tuple[str, ...]]) -> str:
    """B's panels of `depth` k, block by block, into `y`: tiles are `y_step` apart, blocks
    `y_block`.
    """
    words = progress.words(*family)
    found = sorted({call[7] for call in calls} - {"none"})
    fills = [_FILL_B.substitute(words, word=word, order=progress.FILLS[word]) for word in found]
    return _BLOCKS.substitute(words, fills="".join(fills)) if fills else ""


def _whole(family: tuple[str, ...], calls: list[tuple[str, ...]]) -> str:
    """An item's part of `out` = A B. Of an outer number o, o / inner and o % inner have strides."""
    words = progress.words(*family)
    walks = sorted({call[5] for call in calls})
    tiles = [_tile(words, walk) for walk in walks]
    if len(walks) > 1:
        cases = [f"case by_{w}: {tile} break;" for w, tile in zip(walks, tiles, strict=True)]
        tiles = ["switch (by) {", *cases, "}"]
    x, y = ({call[side] for call in calls} for side in (6, 7))
    begin_x = _begin(x, "a_fill", "x", "ao + g0 / $R * x_step + d0 * a_k")
    begin_y = _begin(y, "b_fill", "y", "bo + q0 / $C * y_step + d0 * b_k")
    return _WHOLE.substitute(
        words,
        begin_x=Template(begin_x).substitute(words),
        begin_y=Template(begin_y).substitute(words),
        ask=" ".join(f"__builtin_prefetch(row + {r} * ld, 1);" for r in range(int(words["R"]))),
        halves=_HALVES.substitute(words, H=half) if (half := int(words["W"]) // 2) > 4 else "",
        plain=micro.PLAIN,
        tiles="\n            ".join(tiles),
        fill_a="".join(
            "\n        " + _FILL_A.substitute(words, word=word, order=progress.FILLS[word])
            for word in sorted(x - {"none"})
        ),
        fills=_FILL_ALL.substitute(words) if y != {"none"} else "",
    )


def _begin(fills: set[str], fill: str, panels: str, in_place: str) -> str:
    """Where the tiles of one side begin: in panels, in place, or as the call says."""
    if fills == {"none"}:
        return in_place
    return f"{fill} ? {panels} : {in_place}" if "none" in fills else panels


def _tile(words: dict[str, str | int], walk: str) -> str:
    """The call of a tile; the last one of a row has vectors of its own where `walk` ends in how
    many columns they are, and reads as many of each k of a panel.
    """
    tile = _TILE.substitute(words, walk=walk[:3])
    if not walk[3:]:
        return tile
    step = words["C"] if walk[2] == "p" else "b_k"
    last = int(walk[3:])
    own = {"W": min(last, int(words["W"])), "vectors": -(-last // int(words["W"]))}
    narrow = _NARROW.substitute(words | own, walk=f"{walk[:2]}k", step=step)
    return f"if (t0 + {words['C']} <= q1) {tile}\n            else {narrow}"


_TILE = Template(
    "tile_${family}_$walk(u, w, a_lane, 0, M - 1 - r0, a_k, 0, b_k, d, v, in ? ld : $C, more);"
)
_NARROW = Template(
    "tile_${number}x${W}_${R}x${vectors}_$walk(u, w, a_lane, 0, M - 1 - r0, a_k, 0, $step, d, v, "
    "$C, 0);"
)
_FILL_A = Template(
    "$fill_rows${order}_$number(ao + g0 * a_lane + d0 * a_k, a_lane, a_k,\n"
    "          (a_fill == fill_$word) * (g1 - g0), M - g0, d, x, x_step);"
)
_FILL_B = Template(
    "    $fill_columns${order}_$number(b + k0 * b_k, b_lane, b_k,\n"
    "      (b_fill == fill_$word) * b_count, b_there, k1, y, y_step);\n"
)
_BLOCKS = Template("""FX_LIST void fills_$family(const int by, const int a_fill, const int b_fill,
    __global const $T *b, const long b_lane, const long b_k, const int b_count, const int b_there,
    __global $T *y, const long y_step, const long y_block, const int depth, const int block) {
  for (int k0 = 0; k0 < depth; k0 += block, y += y_block) {
    const int k1 = (depth - k0 < block ? depth - k0 : block);
$fills  }
}""")

_WHOLE = Template("""FX_PART void rest_$family(const $T *p, __global $T *row, const long ld,
    const int rows, const int n, const int more) {
  for (int g = 0; g < rows; ++g, p += $C, row += ld) {
    int e = 0;
    for (; e + $W <= n; e += $W) {
      const $V s = *($V *)(p + e);
      *(__global $V *)(row + e) = more ? s + *(__global $V *)(row + e) : s;
    }
$halves$plain
    for (; e < n; ++e) row[e] = more ? p[e] + row[e] : p[e];
  }
}
FX_PART void whole_$family(const int by, const int a_fill, const int b_fill,
    const int item, __global const $T *a, __global const $T *b, __global $T *x, const long x_step,
    __global $T *y, const long y_step, const long y_last, const long a_lane, const long a_k,
    const long b_lane, const long b_k, const int M, const int N, const int K, const int RB,
    const int CB, const int RT, const int CT, const int OT, const int OB, const int depth, $T *acc,
    const int inner, const long a_outer, const long a_inner, const long b_outer,
    const long b_inner, const long out_outer, const long out_inner, const long ld,
    __global $T *out) {
  const int ir = item % RB, ic = item / RB % CB, io = item / RB / CB;
  const int m0 = ir * RT, m1 = (M < m0 + RT ? M : m0 + RT);
  const int q0 = ic * CT, q1 = (N < q0 + CT ? N : q0 + CT);
  const int o1 = ((io + 1) * OT < OB ? (io + 1) * OT : OB);
  for (int o = io * OT; o < o1; ++o) {
    const int oo = o / inner, oi = o % inner;
    __global const $T *ao = a + oo * a_outer + oi * a_inner;
    __global const $T *bo = b + oo * b_outer + oi * b_inner;
    __global $T *to = out + oo * out_outer + oi * out_inner;
    for (int d0 = 0; d0 < K; d0 += depth) {
      const int d = (K - d0 < depth ? K - d0 : depth);
      $fills
      __global const $T *ys = $begin_y;
      for (int g0 = m0; g0 < m1; g0 += $G) {
        const int g1 = (m1 < g0 + $G ? m1 : g0 + $G);$fill_a
        __global const $T *xs = $begin_x;
        long at = 0;
        for (int t0 = q0; t0 < q1; t0 += $C, at += y_step) {
          const long beyond = at > y_last - q0 ? at - (y_last - q0) : 0;  // the last tile's
          __global const $T *w = ys + at - beyond, *u = xs;
          __global $T *row = to + g0 * ld + t0;
          for (int r0 = g0; r0 < g1; r0 += $R, u += x_step, row += $R * ld) {
            const int in = r0 + $R <= g1 && t0 + $C <= q1, more = in && d0;
            if (in) { $ask }
            $T *v = in ? ($T *)(ulong)row : acc;
            $tiles
            if (!in)
              rest_$family(acc + beyond, row, ld, (g1 - r0 < $R ? g1 - r0 : $R),
                (q1 - t0 < $C ? q1 - t0 : $C), d0);
          }
        }
      }
    }
  }
}""")
_HALVES = Template("""    if (e + $H <= n) {
      const $T${H}_u s = *($T${H}_u *)(p + e);
      *(__global $T${H}_u *)(row + e) = more ? s + *(__global $T${H}_u *)(row + e) : s;
      e += $H;
    }
""")
_FILL_ALL = Template("""fills_$family(by, a_fill, b_fill, bo + q0 * b_lane + d0 * b_k, b_lane, b_k,
        q1 - q0, N - q0, y, y_step, 0, d, d);""")
