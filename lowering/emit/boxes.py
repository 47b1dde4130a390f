"""Boxes: a nest that only moves rows of one array to another (a pad, a slice, heads of attention).

Its text would be loops and questions about edges, 3 to 11 ms of LLVM, and there are as many as
shapes. So the stage is a call of a function that all programs share and that stock holds; extents,
strides and edges are its numbers. Elements are words of their size, so types share it, too.
"""

from __future__ import annotations

import re
from math import prod
from string import Template

from lowering.emit.scope import LIST, Stage
from lowering.nest import Nest, Value
from lowering.scalar_text import contraction
from lowering.schedule import Schedule

LEAST, MOST_AXES = 16, 4
"""Elements of a row, and axes of rows, that such a nest has."""
WORDS = {1: "uchar", 2: "ushort", 4: "uint", 8: "ulong"}
_CALL = re.compile(r"\bbox_(\d+)x(\d+)\(")


def emit(nest: Nest, s: Schedule) -> Stage | None:
    """The stage, if `nest` is such a box."""
    plain = s.tile is None and s.cells is None and not (s.folds or s.streams or s.wide)
    if not plain or s.v is None or nest.dealt is not None or s.again != "at any time":
        return None
    if s.width == 1 or nest.extents[s.v] < LEAST or not 0 < len(s.rows) <= MOST_AXES:
        return None
    x = _moved(nest)
    edges = None if x is None else _edges(nest, x, (*s.rows, s.v))
    if x is None or edges is None:
        return None
    store, (source, index, *_) = nest.stores[0], x.attr
    target = store.index
    if index.coef(s.v) != 1 or target.coef(s.v) != 1:
        return None
    rows = prod(nest.extents[a] for a in s.rows)
    numbers = [rows, s.row_block, index.const, target.const]
    numbers += [nest.extents[s.v], *edges[s.v], len(s.rows)]
    for a in reversed(s.rows):
        numbers += [nest.extents[a], index.coef(a), target.coef(a), *edges[a]]
    size = x.dtype.itemsize
    word, to = WORDS[size], store.buffer
    arrays = f"(__global const {word} *)b{source}, (__global {word} *)b{to}"
    text = f"  {contraction()}\n  box_{size}x{s.width}(item, {arrays}, n);"
    items, told = s.items[0] * s.items[1], {"lanes": s.width, "head": LIST}
    return Stage(text, nest.buffers, numbers, items, 1, nest.label, **told)


def _moved(nest: Nest) -> Value | None:
    """The one load whose value, as it is, is all that is stored."""
    if len(nest.stores) != 1:
        return None
    store, x = nest.stores[0], nest.values[nest.stores[0].value]
    if x.op != "load" or x.args or x.attr[3] or store.guards or store.dynamic is not None:
        return None
    dtypes = {x.dtype, nest.buffers[x.attr[0]].dtype, nest.buffers[store.buffer].dtype}
    return x if len(dtypes) == 1 and x.dtype.itemsize in WORDS else None


def _edges(nest: Nest, x: Value, axes: tuple[int, ...]) -> dict[int, tuple[int, int]] | None:
    """From where to where along each axis there is something to load; None if that depends on
    more than one axis.
    """
    found = {a: (0, nest.extents[a]) for a in axes}
    for q in x.attr[2]:
        (a, sign), *more = q.index.terms or [(-1, 0)]
        if more or abs(sign) != 1 or a not in found:
            return None
        low, high = q.low - q.index.const, q.high - q.index.const
        if sign < 0:
            low, high = 1 - high, 1 - low
        found[a] = max(found[a][0], low), min(found[a][1], high)
    return {a: (low, max(low, high)) for a, (low, high) in found.items()}


def source(text: str) -> str:
    """The functions of this kind that `text` calls."""
    calls = sorted(set(_CALL.findall(text)))
    return "".join(f"\n{_box(int(size), int(width))}" for size, width in calls)


def _box(size: int, width: int) -> str:
    return _BOX.substitute(T=WORDS[size], S=size, W=width)


_BOX = Template("""typedef $T$W __attribute__((aligned($S), may_alias)) box_$S;
typedef $T __attribute__((may_alias)) word_$S;
FX_SHORT void row_${S}x$W(__global const $T *x, __global $T *y, const int columns, const int low,
    const int high) {
  const int final = columns - $W;
  for (int k = 0; k < low; k += $W) *(__global box_$S *)(y + (k < final ? k : final)) = 0;
  for (int k = high; k < columns; k += $W) *(__global box_$S *)(y + (k < final ? k : final)) = 0;
  int k = low;
  for (; k + 4 * $W <= high; k += 4 * $W) {
    const $T$W a = *(__global const box_$S *)(x + k), b = *(__global const box_$S *)(x + k + $W);
    const $T$W c = *(__global const box_$S *)(x + k + 2 * $W);
    const $T$W d = *(__global const box_$S *)(x + k + 3 * $W);
    *(__global box_$S *)(y + k) = a, *(__global box_$S *)(y + k + $W) = b;
    *(__global box_$S *)(y + k + 2 * $W) = c, *(__global box_$S *)(y + k + 3 * $W) = d;
  }
  for (; k + $W <= high; k += $W) *(__global box_$S *)(y + k) = *(__global const box_$S *)(x + k);
  if (k == high) return;
  if (high - low >= $W) {
    *(__global box_$S *)(y + high - $W) = *(__global const box_$S *)(x + high - $W);
  } else for (; k < high; ++k) *(__global word_$S *)(y + k) = *(__global const word_$S *)(x + k);
}
FX_PART void box_${S}x$W(const long item, __global const $T *x, __global $T *y, const long *n) {
  const int columns = n[4], low = n[5], high = n[6], axes = n[7];
  const long whole = (item + 1) * n[1], last = whole < n[0] ? whole : n[0];
  const long step_x = n[9], step_y = n[10];
  long at[4], g = item * n[1], rest = g;
  x += n[2], y += n[3];
  for (int j = 0; j < axes; ++j) {
    const long *axis = n + 8 + 5 * j;
    at[j] = rest % axis[0], rest /= axis[0];
    x += at[j] * axis[1], y += at[j] * axis[2];
  }
  while (g < last) {
    int there = 1;
    for (int j = 1; j < axes; ++j) there &= at[j] >= n[11 + 5 * j] && at[j] < n[12 + 5 * j];
    const long row = at[0] + last - g, end = row < n[8] ? row : n[8];
    const long from = there ? n[11] : end, to = n[12];
    g += end - at[0];
    for (long i = at[0]; i < end; ++i, x += step_x, y += step_y) {
      if (i >= from && i < to) row_${S}x$W(x, y, columns, low, high);
      else row_${S}x$W(x, y, columns, 0, 0);
    }
    at[0] = end;
    for (int j = 0; j < axes && at[j] == n[8 + 5 * j]; ++j) {
      const long *axis = n + 8 + 5 * j;
      x -= axis[0] * axis[1], y -= axis[0] * axis[2], at[j] = 0;
      if (j + 1 < axes) x += axis[6], y += axis[7], at[j + 1] += 1;
    }
  }
}
""")
"""Of an item's rows, those of the axes' margins are zeros. In a row, what is not there is zeros
first, and then what is there is copied. Where the numbers stand: rows, those of an item, first
elements of x and y, columns, edges, axes; of each axis, the fastest first, extent, steps in x and
y, edges.
"""
