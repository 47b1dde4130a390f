"""Polynomials as text. How the coefficients of this library were found.

Each set is the minimax polynomial of the function named beside it, by Remez exchange in 40-digit
arithmetic on the reduced interval, with the weight that makes the error relative; the lowest
coefficients were rounded to the type first and the others fitted again around them.
"""

from collections.abc import Sequence


def horner(variable: str, coefficients: Sequence[float], kind: str) -> str:
    """c0 + variable * (c1 + variable * (...)), the literals in `kind`'s type."""
    suffix = "f" if kind == "f32" else ""
    literals = [f"{float(c)!r}{suffix}" for c in coefficients]
    text = literals[-1]
    for literal in reversed(literals[:-1]):
        text = f"({text} * {variable} {_signed(literal)})"
    return text


def _signed(literal: str) -> str:
    return f"- {literal[1:]}" if literal.startswith("-") else f"+ {literal}"


def by_kind(template: str, tables: dict[str, dict[str, Sequence[float] | str]]) -> dict[str, str]:
    """The template for each kind of `tables`, with `@name` replaced.

    A table's entry is text, or coefficients: `@name(z)` then is their polynomial in z.
    """
    texts = {}
    for kind, table in tables.items():
        text = template
        for name in sorted(table, key=len, reverse=True):
            entry = table[name]
            if isinstance(entry, str):
                text = text.replace(f"@{name}", entry)
                continue
            while f"@{name}(" in text:
                start = text.index(f"@{name}(")
                end = text.index(")", start)
                variable = text[start + len(name) + 2 : end]
                text = text[:start] + horner(variable, entry, kind) + text[end + 1 :]
        texts[kind] = text
    return texts
