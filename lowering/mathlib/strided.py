"""Elements a few steps apart, in a register: whole vectors from memory, then their lanes chosen.

Written lane by lane, LLVM makes a gather of them where AVX-512 is: a load for each lane all the
same, which takes twice as long as scalar loads on a Zen 4, and four times as long as this.
"""

from __future__ import annotations

KINDS = ("f32", "i32", "u32", "f64", "i64", "u64")


def steps(width: int) -> range:
    """The steps for which it pays: with so many vectors there would be as many loads as lanes."""
    return range(2, width // 2 + 1)


def strided(width: int, step: int) -> str:
    """Reads nothing beyond the last of the elements: the last vector ends there."""
    last = step * (width - 1)
    starts = [k * width for k in range(step - 1)] + [last + 1 - width]
    held = [min(step * j // width, step - 1) for j in range(width)]
    lines = [
        f"  const $F v{k} = *(__global const $F_u *)(p + {at});" for k, at in enumerate(starts)
    ]
    parts = [
        (f"v{k}", {j: step * j - at for j in range(width) if held[j] == k})
        for k, at in enumerate(starts)
    ]
    while len(parts) > 1:
        pairs = [parts[k : k + 2] for k in range(0, len(parts), 2)]
        parts = [
            pair[0] if len(pair) == 1 else _chosen(*pair[0], *pair[1], width) for pair in pairs
        ]
    body = "\n".join([*lines, f"  return {parts[0][0]};"])
    return f"$F strided{step}_$N(__global const $E *p) {{\n{body}\n}}"


def _chosen(
    x: str, x_lanes: dict[int, int], y: str, y_lanes: dict[int, int], width: int
) -> tuple[str, dict[int, int]]:
    """A vector with the wanted lanes of two others at their places."""
    lanes = x_lanes | {j: at + width for j, at in y_lanes.items()}
    places = ", ".join(str(lanes.get(j, -1)) for j in range(width))
    return f"__builtin_shufflevector({x}, {y}, {places})", {j: j for j in lanes}


TEMPLATES: dict[str, dict[str, str]] = {}
for _width in (4, 8, 16):
    for _step in steps(_width):
        _kinds = TEMPLATES.setdefault(f"strided{_step}", {})
        _text = strided(_width, _step)
        _kinds |= {f"{kind}x{_width}": _text for kind in KINDS}
BOUNDS: dict[str, tuple[float, float]] = {}
