"""Fourier transforms of long rows, as stages that go along columns.

A row of n = m k elements is a matrix of m rows of k: its columns are transformed, multiplied by
roots and written as rows; then the columns of that are (the "four-step" method; Bailey, FFTs in
external or hierarchical memory, 1990). Long real rows are complex ones of half the length, which
are taken apart, or put together, by a stage of its own. In: sizes. Out: text for problem `e` over
`b0` and `b1`, and the tables that it reads.
"""

from __future__ import annotations

from math import isqrt
from string import Template
from typing import Any

import numpy as np

from lowering.templates import fourier

_STARTS = """
  __constant const double *const starts = (__constant const double *)@s;"""
_NUMBER = """
    const int high = AT / $step, low = $wide + AT % $step;
    const double ur = starts[high], ui = starts[$wide + $step + high];
    const double lr = starts[low], li = starts[$wide + $step + low];
    const $T sr = ur * lr - ui * li, si = ur * li + ui * lr;"""

NEAR = 16
"""Rows whose roots stand beside each other; the others are products of one of these."""

PIECE = 2048
"""Numbers of a spectrum that are taken apart as one problem, half of them from its end."""


def factors(n: int, least: int, most: int) -> tuple[int, int] | None:
    """n as a product of two, as near to each other as can be; None if they lie outside."""
    for m in range(isqrt(n), least - 1, -1):
        if n % m == 0:
            return (m, n // m) if n // m <= most else None
    return None


def crossed(m: int, k: int, inverse: bool, dtype: np.dtype, lanes: int) -> Any:
    """The transforms of k columns of m, times exp(-2 pi i row column / (m k)), as k rows of m; in
    how many blocks. Both are at least `lanes`.
    """
    w, n = lanes, m * k
    steps, table = fourier.stockham(m)
    words = fourier.words_of(dtype, w, m)
    far = len(table)
    table += [fourier.root(NEAR * a * j, n) for a in range(-(-m // NEAR)) for j in range(w)]
    near = len(table)
    table += [fourier.root(b * j, n) for b in range(NEAR) for j in range(w)]
    words |= {"roots": len(table), "far": far, "near": near}
    words |= fourier.shuffles(w, words)
    blocks = -(-k // w)
    starts, sizes = _starts(n)
    sizes |= {"n": m, "inner": k, "blocks": blocks, "near_rows": NEAR, "last": m - w}
    sizes["re"], sizes["im"] = ("i", "r") if inverse else ("r", "i")
    sizes["scale"] = f" * ({words['V']})({1 / m!r})" if inverse else ""
    text = "".join(
        Template(t).substitute(words, **sizes)
        for t in (fourier.BEGIN, _STARTS, fourier.COLUMNS_IN, steps, _rows_out(w))
    )
    return text, (fourier.table_of(table, words), starts), blocks


def _starts(n: int) -> tuple[str, dict[str, Any]]:
    """Every step-th root of n and the first ones, in double precision: their products are all
    (`_NUMBER`). With the numbers of both.
    """
    step = 1 << isqrt(n).bit_length()
    roots = [fourier.root(step * a, n) for a in range(-(-n // step))]
    roots += [fourier.root(b, n) for b in range(step)]
    table = fourier.table_of(roots, {"T": "double"}, "@s")
    return table, {"step": step, "wide": -(-n // step)}


def _rows_out(w: int) -> str:
    """W by W results times their roots, transposed, to W rows. What all W of them do is a loop in
    the text as well: the compiler takes its time for each line.
    """
    lines: list[str] = []
    for part in "ri":
        lines += fourier.turned(part, w)
        lines += [f"t{part}[{k}] = {part}{k};" for k in range(w)]
    body = "\n".join("    " + line for line in lines)
    return _ROWS_OUT.replace("TRANSPOSED", body).replace("NUMBER", _NUMBER.replace("AT", "at"))


# w^(row (column + lane)) = w^(row column) w^(row lane), the first a number, the second a vector.
# The last block leaves the columns of the one before alone: there roots are rounded otherwise, and
# whoever came last would decide.
_ROWS_OUT = """
  for (int h = 0; h < $n; h += $W) {
    const int g = min(h, $last);
    $V tr[$W], ti[$W];
    #pragma clang loop unroll(disable)
    for (int k = 0; k < $W; ++k) {
      const int row = g + k, at = row * column;NUMBER
      const int far = $far + row / $near_rows * $W, near = $near + row % $near_rows * $W;
      const $V fr = *(__constant $U *)(table + far);
      const $V fi = *(__constant $U *)(table + $roots + far);
      const $V nr = *(__constant $U *)(table + near);
      const $V ni = *(__constant $U *)(table + $roots + near);
      const $V vr = fr * nr - fi * ni, vi = fr * ni + fi * nr;
      const $V cr = vr * sr - vi * si, ci = vr * si + vi * sr;
      tr[k] = (ar[row] * cr - ai[row] * ci)$scale;
      ti[k] = (ar[row] * ci + ai[row] * cr)$scale;
    }
TRANSPOSED
    #pragma clang loop unroll(disable)
    for (int k = (int)(e % $blocks) * $W - column; k < $W; ++k) {
      const $V x = t$re[k], y = t$im[k];
      __global $T *const to = b1 + 2 * ((e / $blocks * $inner + column + k) * ${n}L + g);
      *(__global $U *)to = $low;
      *(__global $U *)(to + $W) = $high;
    }
  }"""


# ---------------------------------------------------------------- real rows


def pieces(p: int, lanes: int) -> int:
    """How many problems the spectrum of a real row of 2 p is. The last one takes what would be less
    than a vector along: no two write the same number, which is rounded by where a vector begins.
    """
    return max(1, (p // 2 + PIECE - lanes) // PIECE)


def split(p: int, dtype: np.dtype, lanes: int) -> tuple[str, tuple[str, ...]]:
    """From the transform of p pairs of a real row to half the row's spectrum, p + 1 numbers."""
    return _paired(p, dtype, lanes, _SPLIT_ENDS, _SPLIT, (2 * p, 2 * p + 2))


def join(p: int, dtype: np.dtype, lanes: int) -> tuple[str, tuple[str, ...]]:
    """Back: to what the inverse transform makes the pairs of a real row of."""
    return _paired(p, dtype, lanes, _JOIN_ENDS, _JOIN, (2 * p + 2, 2 * p))


def _paired(
    p: int, dtype: np.dtype, w: int, ends: str, middle: str, rows: tuple[int, int]
) -> tuple[str, tuple[str, ...]]:
    """A text that goes along a row from both of its ends; p is at least twice w."""
    table = [fourier.root(j, 2 * p) for j in range(w)]
    words = fourier.words_of(dtype, w, 1) | {"roots": w}
    words |= fourier.shuffles(w, words) | _reversed(w)
    starts, sizes = _starts(2 * p)
    sizes |= {"pieces": pieces(p, w), "piece": PIECE, "p": p, "last": p // 2 + 1 - w}
    sizes |= {"end": p // 2 + 1, "given": rows[0], "made": rows[1]}
    text = _STARTS + _PAIRED.replace("ENDS", ends).replace("MIDDLE", middle)
    text = text.replace("NUMBER", _NUMBER.replace("AT", "k"))
    return Template(text).substitute(words, **sizes), (fourier.table_of(table, words), starts)


def _reversed(w: int) -> dict[str, str]:
    """The shuffles of `fourier.shuffles` for numbers that stand in the opposite order."""
    if w == 1:
        return {"back_even": "u", "back_odd": "v", "back_low": "x", "back_high": "y"}
    far = [list(range(2 * w - 2 + k, -1, -2)) for k in (0, 1)]
    pairs = [k for j in reversed(range(w)) for k in (j, w + j)]
    lists = {"back_even": far[0], "back_odd": far[1]}
    lists |= {"back_low": pairs[:w], "back_high": pairs[w:]}
    names = {k: "u, v" if k in ("back_even", "back_odd") else "x, y" for k in lists}
    return {
        k: f"__builtin_shufflevector({names[k]}, {', '.join(map(str, v))})"
        for k, v in lists.items()
    }


_PAIRED = """
  __constant const $T *const table = (__constant const $T *)@t;
  const int piece = (int)(e % $pieces), first = 1 + piece * $piece;
  __global const $T *const given = b0 + e / $pieces * ${given}L;
  __global $T *const made = b1 + e / $pieces * ${made}L;
  if (piece == 0) {ENDS}
  const int end = piece == $pieces - 1 ? $end : first + $piece;
  for (int j = first; j < end; j += $W) {
    const int k = min(j, $last), h = $p - k - ($W - 1);NUMBER
    const $V nr = *(__constant $U *)table, ni = *(__constant $U *)(table + $roots);
    const $V wr = nr * sr - ni * si, wi = nr * si + ni * sr;
    $V u = *(__global const $U *)(given + 2 * k), v = *(__global const $U *)(given + 2 * k + $W);
    const $V zr = $even, zi = $odd;
    u = *(__global const $U *)(given + 2 * h), v = *(__global const $U *)(given + 2 * h + $W);
    const $V hr = $back_even, hi = $back_odd;
    const $V xr = (zr + hr) / 2, xi = (zi - hi) / 2;MIDDLE
    *(__global $U *)(made + 2 * k) = $low;
    *(__global $U *)(made + 2 * k + $W) = $high;
    x = cr;
    y = ci;
    *(__global $U *)(made + 2 * h) = $back_low;
    *(__global $U *)(made + 2 * h + $W) = $back_high;
  }"""
_SPLIT_ENDS = """
    made[0] = given[0] + given[1];
    made[2 * $p] = given[0] - given[1];
    made[1] = made[2 * $p + 1] = 0;
  """
_SPLIT = """
    const $V yr = (zi + hi) / 2, yi = (hr - zr) / 2;
    const $V tr = wr * yr - wi * yi, ti = wr * yi + wi * yr;
    const $V cr = xr - tr, ci = ti - xi;
    $V x = xr + tr, y = xi + ti;"""
_JOIN_ENDS = """
    made[0] = (given[0] + given[2 * $p]) / 2;
    made[1] = (given[0] - given[2 * $p]) / 2;
  """
_JOIN = """
    const $V tr = (zr - hr) / 2, ti = (zi + hi) / 2;
    const $V yr = wr * tr + wi * ti, yi = wr * ti - wi * tr;
    const $V cr = xr + yi, ci = yr - xi;
    $V x = xr - yi, y = xi + yr;"""
