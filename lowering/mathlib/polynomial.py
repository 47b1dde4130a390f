"""Polynomials as text. How the coefficients of this library were found.

Each set is the minimax polynomial of the function named beside it, by Remez exchange in 40-digit
arithmetic on the reduced interval, with the weight that makes the error relative; the lowest
coefficients were rounded to the type first and the others fitted again around them.
"""

from collections.abc import Mapping, Sequence

PAIRS_FROM = 5  # coefficients


def horner(variable: str, coefficients: Sequence[float], kind: str) -> str:
    """c0 + variable * (c1 + variable * (...)), the literals in `kind`'s type."""
    literals = _literals(coefficients, kind)
    text = literals[-1]
    for literal in reversed(literals[:-1]):
        text = f"({text} * {variable} {_signed(literal)})"
    return text


def by_pairs(variable: str, coefficients: Sequence[float], kind: str) -> str:
    """(c0 + c1 z) + z^2 ((c2 + c3 z) + z^2 (...)): one product more, and half as long a chain."""
    pairs = [coefficients[k : k + 2] for k in range(0, len(coefficients), 2)]
    texts = [horner(variable, pair, kind) for pair in pairs]
    text = texts[-1]
    for pair in reversed(texts[:-1]):
        text = f"({text} * ({variable} * {variable}) + {pair})"
    return text


def _literals(coefficients: Sequence[float], kind: str) -> list[str]:
    suffix = "f" if kind == "f32" else ""
    return [f"{float(c)!r}{suffix}" for c in coefficients]


def _signed(literal: str) -> str:
    return f"- {literal[1:]}" if literal.startswith("-") else f"+ {literal}"


def by_kind(
    template: str, tables: Mapping[str, Mapping[str, Sequence[float] | str]]
) -> dict[str, str]:
    """The template for each kind of `tables`, with `@name` replaced.

    A table's entry is text, or coefficients: `@name(z)` then is their polynomial in z, `@name:(z)`
    the same by Horner's rule whatever its length, which rounds less.
    """
    texts = {}
    for kind, table in tables.items():
        text = template
        for name in sorted(table, key=len, reverse=True):
            entry = table[name]
            if isinstance(entry, str):
                text = text.replace(f"@{name}", entry)
                continue
            shorter = by_pairs if len(entry) >= PAIRS_FROM else horner
            for mark, polynomial in ((f"@{name}(", shorter), (f"@{name}:(", horner)):
                while mark in text:
                    start = text.index(mark)
                    end = text.index(")", start)
                    variable = text[start + len(mark) : end]
                    text = text[:start] + polynomial(variable, entry, kind) + text[end + 1 :]
        texts[kind] = text
    return texts
