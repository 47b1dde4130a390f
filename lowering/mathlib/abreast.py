"""Several registers' lanes into one register, a lane each: `folds8_add(a, b, ..., h)` is
(fold_add(a), ..., fold_add(h)), to the bit, in a third of the operations.

Two registers become one: the first halves of all their rows beside each other, plus the second
halves. Rows shorter than 128 bits keep to their 128 bits, in which processors shuffle at once; so
the registers are taken in the order that ends with the rows in theirs.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby

BOUNDS: dict[str, tuple[float, float]] = {}

_ELEMENTS = {"f32": ("float", 4), "f64": ("double", 2)}  # and how many of them are 128 bits
_LANES = "0123456789abcdef"

Lane = tuple[str, int, int]  # a register, one of its lanes, and whose row it holds


def _halved(x: list[Lane], y: list[Lane], half: int, block: int) -> list[Lane]:
    """The first or second halves of the rows of two registers, as lanes of one."""
    long = sum(lane[2] == x[0][2] for lane in x)
    step = block if long <= block else len(x)  # of one register before the other's turn
    found: list[Lane] = []
    for start in range(0, len(x), step):
        for source in (x, y):
            for row in range(start, min(start + step, len(x)), long):
                found += source[row + half * long // 2 :][: long // 2]
    return found


def _literal(lanes: list[Lane], element: str) -> str:
    """A register of lanes of others, those side by side taken at once."""
    runs = [list(run) for _, run in groupby(lanes, lambda lane: lane[0])]
    texts = [f"{run[0][0]}.s{''.join(_LANES[lane[1]] for lane in run)}" for run in runs]
    return f"({element}{len(lanes)})({', '.join(texts)})"


def _joined(op: str, kind: str, x: str, y: str, width: int) -> str:
    return f"{x} + {y}" if op == "add" else f"{op}_{kind}x{width}({x}, {y})"


def _template(op: str, rows: int, kind: str, width: int) -> str:
    """A fold of `rows` registers of `width` lanes each."""
    element, block = _ELEMENTS[kind]
    held = [[(f"${k}", lane, k) for lane in range(width)] for k in range(rows)]
    lines: list[str] = []

    def step(x: list[Lane], y: list[Lane]) -> list[Lane]:
        halves = [_halved(x, y, half, block) for half in (0, 1)]
        name = f"y{len(lines) + 1}"
        first, second = (_literal(lanes, element) for lanes in halves)
        n = len(halves[0])
        lines.append(f"  const {element}{n} {name} = {_joined(op, kind, first, second, n)};")
        return [(name, k, lane[2]) for k, lane in enumerate(halves[0])]

    while len(held) > 1:
        held = [step(x, y) for x, y in zip(held[::2], held[1::2])]
    last = held[0]
    while len(last) > rows:
        last = step(last[: len(last) // 2], last[len(last) // 2 :])
    text = "\n".join(lines)
    for k, (_, _, row) in enumerate(last):
        text = text.replace(f"${row}.", f"x{k}.")
    given = ", ".join(f"$F x{k}" for k in range(rows))
    head = f"{element}{rows} folds{rows}_{op}_$N({given})"
    return f"{head} {{\n{text}\n  return {last[0][0]};\n}}"


TEMPLATES = {
    f"folds{rows}_{op}": {
        f"{kind}x{width}": partial(_template, op, rows, kind, width)
        for kind in _ELEMENTS
        for width in (4, 8, 16)
        if width >= rows
    }
    for rows in (2, 4, 8)
    for op in ("add", "max", "min")
}
