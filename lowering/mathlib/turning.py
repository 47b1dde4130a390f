"""Turning: a rectangle of memory into a private tile with its axes exchanged, block by block.

A block is as many vectors as a vector has lanes. Within each 128 bits log2 rounds of interleaving
transpose it; where vectors have 256, halves change places at the end. All of it is shuffles.
`turn2` takes every second element of a line: one part of complex numbers.
"""

from __future__ import annotations

from collections.abc import Iterable


def _mix(a: str, b: str, lanes: Iterable[int]) -> str:
    """Lanes of a, and of b after them: an instruction, where lists of elements became many."""
    return f"__builtin_shufflevector({a}, {b}, {', '.join(map(str, lanes))})"


def _line(width: int, k: int, step: int) -> list[str]:
    """Lines that load r{k}, elements `step` apart on line k; none is read beyond the last."""
    if step == 1:
        return [f"const $F r{k} = *(__global const $F_u *)(p + {k} * s);"]
    ends = [f"*(__global const $F_u *)(p + {k} * s + {at})" for at in (0, width - 1)]
    lanes = [*range(0, width, 2), *range(width + 1, 2 * width, 2)]
    lines = [f"const $F {name}{k} = {end};" for name, end in zip("lh", ends)]
    return [*lines, f"const $F r{k} = {_mix(f'l{k}', f'h{k}', lanes)};"]


def _block(width: int, halves: int, step: int) -> list[str]:
    """Lines that load `width` vectors at p, s apart, and store them turned at t, d apart."""
    part = width // halves  # lanes in 128 bits
    lines = [line for k in range(width) for line in _line(width, k, step)]
    groups = [[f"r{g * part + k}" for k in range(part)] for g in range(halves)]
    for turn in range(part.bit_length() - 1):
        for g, rows in enumerate(groups):
            made = [f"x{turn}_{g * part + k}" for k in range(part)]
            for k, name in enumerate(made):
                pair = rows[k // 2], rows[k // 2 + part // 2]
                first = k % 2 * part // 2
                from_each = [h * part + first + j for h in range(halves) for j in range(part // 2)]
                value = _mix(*pair, (x for j in from_each for x in (j, j + width)))
                lines.append(f"const $F {name} = {value};")
            groups[g] = made
    for h in range(halves):
        for j in range(part):
            lanes = [
                x
                for g in range(2)
                for x in range(g * width + h * part, g * width + h * part + part)
            ]
            value = _mix(groups[0][j], groups[1][j], lanes) if halves == 2 else groups[0][j]
            lines.append(f"*($F *)(t + {h * part + j} * d) = {value};")
    return lines


def _turn(width: int, halves: int, step: int) -> str:
    lines = "\n".join(f"        {line}" for line in _block(width, halves, step))
    name, times = ("turn2", "2 * ") if step == 2 else ("turn", "")
    return f"""
void {name}_$N(__global const $E *from, const long s, const int n, const int m, $E *to,
    const int d) {{
  for (int i = 0; i < n; i += {width})
    for (int j = 0; j < m; j += {width}) {{
      __global const $E *p = from + i * s + {times}j;
      $E *t = to + j * d + i;
#if __has_builtin(__builtin_shufflevector)
      if (i + {width} <= n && j + {width} <= m) {{
{lines}
        continue;
      }}
#endif
      for (int k = 0; k < min({width}, n - i); ++k)
        for (int l = 0; l < min({width}, m - j); ++l) t[l * d + k] = p[k * s + {times}l];
    }}
}}"""


WIDTHS = {8: 4, 4: 8, 2: 8, 1: 16}
"""Lanes of a block by the bytes of an element."""

TEMPLATES: dict[str, dict[str, str]] = {
    name: {
        f"{kind}{8 * size}x{width}": _turn(width, width * size // 16, step)
        for size, width in WIDTHS.items()
        for kind in ("fiu" if size >= 4 else "iu")
        if step == 1 or (kind == "f" and size >= 4)
    }
    for name, step in (("turn", 1), ("turn2", 2))
}

BOUNDS: dict[str, tuple[float, float]] = {}
