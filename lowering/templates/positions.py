"""Positions of what is true, in order: parts of a row are counted, then each writes its own places,
for it knows how many stand before it.

Sixteen flags at a time become sixteen bits; one instruction of AVX-512 packs the lanes whose bit
is set, and all are stored: what is too much is overwritten by the next ones. So nothing branches
on the data. A part stores nothing beyond its places, for there another one writes.
"""

from __future__ import annotations

import numpy as np

from lowering import graph as g
from lowering.emit.scope import OWN_PART, Stage
from lowering.nest import NestBuffer
from lowering.profile import Profile
from lowering.templates.sorting import Sorting

PART = 1 << 14  # elements that are worth an item
ITEMS = 64
GPU_PART, GPU_ITEMS = 1 << 8, 1 << 12
WORDS = np.dtype(np.uint32)

COUNT = """\
    uint total = 0;
    for (long e = from; e < to; ++e) total += x[e] != 0;"""

HEAD = """\
  {own}
  for (long u = lo; u < hi; ++u) {{
    const long row = u / n3, part = u % n3, from = part * n4, to = min(n2, from + n4);
    __global const uchar *x = b0 + row * n2;"""

BEFORE = """\
    uint c = 0, total = 0;
    for (long q = 0; q < n3; ++q) {
      if (q == part) c = total;
      total += b1[row * n3 + q];
    }
    const uint end = (uint)min((long)c + b1[u], n5);"""

PLAIN = """\
    for (; e + 16 <= to && c + 16 <= end; e += 16) {
      const ulong2 m = as_ulong2(*(__global const uchar16_u *)(x + e));
      if ((m.x | m.y) == 0) continue;
      for (int k = 0; k < 16; ++k) { out[c] = (int)e + k; c += x[e + k] != 0; }
    }"""

WIDE = """\
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX512F__)
    const int16 lanes = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; e + 16 <= to && c + 16 <= end; e += 16) {
      const char16 set = *(__global const uchar16_u *)(x + e) != (uchar16)(0);
      const uint m = (ushort)__builtin_ia32_pmovmskb128(set);
      const int16 places = lanes + (int16)((int)e);
      *(__global int16_u *)(out + c) = __builtin_ia32_compresssi512_mask(places, (int16)(0), m);
      c += __builtin_popcount(m);
    }
#else
{plain}
#endif"""

WRITE = """\
    __global int *out = {out} + row * n5;
    long e = from;
{pack}
    while (e < to && c < end) {{
      const long next = min(to, e + 16);
      if (e + 16 <= to) {{
        const ulong2 m = as_ulong2(*(__global const uchar16_u *)(x + e));
        if ((m.x | m.y) == 0) {{ e = next; continue; }}
      }}
      for (; e < next && c < end; ++e) if (x[e] != 0) out[c++] = (int)e;
    }}
    const long known = min((long)total, n5), open = n5 - known;
    for (long k = known + open * part / n3; k < known + open * (part + 1) / n3; ++k) out[k] = n6;
    if (part == 0) {totals}[row] = (int)total;
  }}"""


def plan(mask: g.Node, size: int, fill: int, profile: Profile) -> Sorting:
    """The stages that write the results of mask [..., n]: o0, int32[..., size], the positions and
    `fill`; o1, int32[...], how many there are.
    """
    n = mask.shape[-1]
    rows = mask.size // n
    part, most = (GPU_PART, GPU_ITEMS) if profile.schedule == "gpu" else (PART, ITEMS)
    parts = max(1, min(most // rows, n // part))
    length = -(-n // parts)
    units = rows * parts
    share = -(-units // max(1, min(most, units * length // part, units)))
    ints = [units, share, n, parts, length, size, fill]
    x = NestBuffer(mask, mask.dtype, mask.size)
    outs = [_written((rows * size,), np.dtype(np.int32)), _written((rows,), np.dtype(np.int32))]
    head = HEAD.format(own=OWN_PART)
    wide = profile.schedule == "cpu" and profile.vector_bytes >= 64
    pack = WIDE.replace("{plain}", PLAIN) if wide else PLAIN
    items, cost = -(-units // share), 0.5 * mask.size

    def stage(lines: list[str], buffers: list[NestBuffer], order: tuple[str, ...]) -> None:
        text = "\n".join([head, *lines])
        stages.append((Stage(text, buffers, ints, items, 1, "nonzero", cost=cost), order))

    stages: list[tuple[Stage, tuple[str, ...]]] = []
    if parts == 1:
        alone = [COUNT, "    uint c = 0;"]
        alone.append("    const uint end = (uint)min((long)total, n5);")
        stage(
            [*alone, WRITE.format(pack=pack, out="b1", totals="b2")], [x, *outs], ("x0", "o0", "o1")
        )
        return Sorting(stages, [])
    counts = _written((units,), WORDS)
    known = NestBuffer(counts.node, WORDS, units)
    count = [COUNT, "    b1[u] = total;\n  }"]
    stage(count, [x, counts], ("x0", "s0"))
    text = [BEFORE, WRITE.format(pack=pack, out="b2", totals="b3")]
    stage(text, [x, known, *outs], ("x0", "s0", "o0", "o1"))
    return Sorting(stages, [units])


def _written(shape: tuple[int, ...], dtype: np.dtype) -> NestBuffer:
    node = g.Node(g.Input(-1), (), shape, dtype)
    return NestBuffer(node, dtype, node.size, True)
