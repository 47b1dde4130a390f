"""Access: the text of where an operand's element lies, from the strides that `strided` found."""

from __future__ import annotations

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
