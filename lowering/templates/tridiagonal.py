"""Tridiagonal systems, as the texts of two stages: elimination downwards, substitution upwards.

Lanes are systems, or right sides where these are more; a row's step is a few operations on all of
them. Rows are exchanged with the next where that has the larger pivot, as by LAPACK's `gtsv`, lane
by lane. In: sizes and a dtype. Out: the texts for one problem, whose number is `e`, and their
number. Between the stages stand four vectors a row: the pivot's inverse, what is right of it,
and the right side.
"""

from __future__ import annotations

from string import Template
from typing import Any

import numpy as np

from lowering import scalar
from lowering.mathlib import turning

BLOCK = 64  # rows that are turned at once, so that the systems' numbers lie side by side


Words = dict[str, Any]


def texts(
    count: int, n: int, k: int, dtype: np.dtype, lanes: int
) -> tuple[str, str, int, tuple[int, ...]]:
    """The stages that solve `count` systems of n rows and k right sides: `b0` to `b2` are diagonals
    [count, n] from below, `b3` is [count, n, k]. The number of problems; the shape between.
    """
    systems, sides = (1 << min(lanes, m).bit_length() - 1 for m in (count, k))
    way, w = (_by_system, systems) if systems >= max(sides, 2) else (_by_side, sides)
    words: Words = {"n": n, "k": k, "W": w, "B": BLOCK, "T": scalar.memory_type(dtype)}
    words["V"] = scalar.register_type(dtype, w)
    problems = way(words, count, dtype)
    kept = ("inverse", "right", "next", "side")
    puts = [scalar.store(dtype, w, f"at + {j * w}", name) for j, name in enumerate(kept)]
    words["put"] = "; ".join(puts) + ";"
    words |= {name: scalar.load(dtype, w, f"at + {j * w}") for j, name in enumerate(kept)}
    down, up = (t.substitute(words) for t in (_DOWN, _UP))
    return down, up, problems, (problems, n, 4, w)


def _by_side(words: Words, count: int, dtype: np.dtype) -> int:
    """Lanes are right sides of one system, the last of them among those of the problem before."""
    n, k, w = words["n"], words["k"], words["W"]
    blocks, at = -(-k // w), f"(s * {n} + i) * {k} + j"
    words |= {"first": f"e / {blocks}", "column": f"min(e % {blocks} * {w}, {k - w}L)"}
    words |= dict.fromkeys(("tiles", "fill", "kept", "flush"), "")
    words |= {name: f"({words['V']})(b{j}[s * {n} + i])" for j, name in enumerate("ldu")}
    words["r"] = scalar.load(dtype, w, f"b3 + {at}")
    words["store"] = scalar.store(dtype, w, f"b1 + {at}", "x") + ";"
    return count * blocks


def _by_system(words: Words, count: int, dtype: np.dtype) -> int:
    """Lanes are systems, the last of them among those of the problem before."""
    n, k, w, kind, vector = (words[name] for name in ("n", "k", "W", "T", "V"))
    words |= {"first": f"min(e / {k} * {w}, {count - w}L)", "column": f"e % {k}"}
    turn = f"turn_{scalar.memory_code(dtype)}x{turning.WIDTHS[dtype.itemsize]}"
    names = "ldur" if k == 1 else "ldu"  # the others' right sides do not lie row by row
    words["tiles"] = "".join(f"\n  {vector} {name}s[{BLOCK}];" for name in names)
    fills = (
        f"{turn}(b{j} + s * {n} + i0, {n}, {w}, m, (private {kind} *){name}s, {w});"
        for j, name in enumerate(names)
    )
    words["fill"] = "".join(f"\n    {fill}" for fill in fills)
    lanes = ", ".join(f"b3[((s + {lane}) * {n} + i) * {k} + j]" for lane in range(w))
    words |= {"r": f"({vector})({lanes})"} | {name: f"{name}s[t]" for name in names}
    words |= {"kept": f"\n  {vector} xs[{BLOCK}];", "store": "xs[t] = x;"}
    words["flush"] = Template(_FLUSH).substitute(words)
    return -(-count // w) * k


_FLUSH = """
    for (int l = 0; l < $W; ++l)
      for (int t = 0; t < m; ++t)
        b1[((s + l) * $n + i0 + t) * $k + j] = ((private $T *)xs)[t * $W + l];"""

_PLACE = "\n  const long s = $first, j = $column;"

_DOWN = Template(
    _PLACE
    + """
  __global $T *to = b4 + e * ($n * 4L * $W);
  $V d = ($V)(1), u = ($V)(0), r = ($V)(0);$tiles
  for (int i0 = 0; i0 < $n; i0 += $B) {
    const int m = min($B, $n - i0);$fill
    for (int t = 0; t < m; ++t) {
      const int i = i0 + t;
      const $V below = $l, dn = $d, rn = $r;
      $V un = $u;
      if (i == $n - 1) un = ($V)(0);
      if (i == 0) {
        d = dn; u = un; r = rn;
        continue;
      }
      const $V size = d < ($V)(0) ? -d : d, other = below < ($V)(0) ? -below : below;
      const $V pivot = size < other ? below : d, rest = size < other ? d : below;
      const $V right = size < other ? dn : u, next = size < other ? un : ($V)(0);
      const $V side = size < other ? rn : r;
      const $V inverse = ($V)(1) / pivot, f = rest * inverse;
      __global $T *at = to + (i - 1) * (4L * $W);
      $put
      d = (size < other ? u : dn) - f * right;
      u = (size < other ? ($V)(0) : un) - f * next;
      r = (size < other ? r : rn) - f * side;
    }
  }
  __global $T *at = to + ($n - 1) * (4L * $W);
  const $V inverse = ($V)(1) / d, right = ($V)(0), next = ($V)(0), side = r;
  $put"""
)

_UP = Template(
    _PLACE
    + """
  __global const $T *from = b0 + e * ($n * 4L * $W);
  $V x1 = ($V)(0), x2 = ($V)(0);$kept
  for (int i0 = ($n - 1) / $B * $B; i0 >= 0; i0 -= $B) {
    const int m = min($B, $n - i0);
    for (int t = m - 1; t >= 0; --t) {
      const int i = i0 + t;
      __global const $T *at = from + i * (4L * $W);
      const $V x = (($side - $next * x2) - $right * x1) * $inverse;
      x2 = x1;
      x1 = x;
      $store
    }$flush
  }"""
)
