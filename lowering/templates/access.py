"""Access: where an operand's element lies, from the strides that `strided` found: as text, and as
digits of a number that counts, each with what one more of it adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from lowering.rewrite.strided import Axis


def offset(flat: str, axes: tuple[Axis, ...]) -> str:
    """Text of the offset that the flat number leads to along several axes."""
    terms, later = [], 1
    for k in range(len(axes) - 1, -1, -1):
        n, stride = axes[k]
        at = f"{flat} / {later}" if later > 1 else flat
        at = f"{at} % {n}" if k else at
        terms.append(f"({at}) * {stride}" if stride != 1 else f"({at})")
        later *= n
    return " + ".join(reversed(terms))


def digits(counted: Sequence[Axis], axes: Sequence[Axis]) -> list[Axis] | None:
    """The offsets along several axes, of a flat number that counts in another order: its digits are
    `counted`, outermost first, each with what one more of it adds to the number. The same digits,
    in parts that lie in one axis each, with what one more adds to the offset; None if one is split
    unevenly.
    """
    found: list[Axis] = []
    for n, step in reversed(counted):
        while n > 1:
            place, stride, end = _holder(step, axes)
            if step % place:
                return None
            here = n if step * n <= end else end // step
            if n % here or end % step:
                return None
            found.append((here, step // place * stride))
            n, step = n // here, step * here
    return list(reversed(found))


def _holder(number: int, axes: Sequence[Axis]) -> tuple[int, int, int]:
    """The axis that a number changes first: what one more of it counts, its stride, and the number
    from which the next axis changes.
    """
    place = 1
    for k, (n, stride) in enumerate(reversed(axes)):
        if number < place * n or k == len(axes) - 1:
            return place, stride, place * n
        place *= n
    raise AssertionError("there are axes")
