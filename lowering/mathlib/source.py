"""Turns names of functions (exp, float32, 16) into the OpenCL C that defines them.

A template is one function's text with `$` marks for the element type and the width, or what makes
that text; a family file holds a dict of them by name, then by kind (f32, f64, `float` for both;
i32, ..., `int` for all).
The output is canonical: dependencies first, otherwise by name, so equal needs give equal text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import numpy as np

from lowering.mathlib import (
    abreast,
    basic,
    exponential,
    giles,
    integer,
    special,
    strided,
    tables,
    trigonometric,
    turning,
)
from lowering.scalar_text import code

Needed = tuple[str, np.dtype, int]
Template = str | Callable[[], str]

TEMPLATES: dict[str, dict[str, Template]] = {}
BOUNDS: dict[str, tuple[float, float]] = {}  # name: largest error in ulp, float32 and float64
_FAMILIES = (basic, integer, exponential, trigonometric, special, giles, turning, strided, abreast)
for _family in _FAMILIES:
    for _name, _kinds in _family.TEMPLATES.items():
        TEMPLATES[_name] = TEMPLATES.get(_name, {}) | _kinds
    BOUNDS.update(_family.BOUNDS)

_DTYPES = {
    "i8": "int8",
    "u8": "uint8",
    "i16": "int16",
    "u16": "uint16",
    "i32": "int32",
    "u32": "uint32",
    "i64": "int64",
    "u64": "uint64",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
}
_ELEMENT = {
    "i8": "char",
    "u8": "uchar",
    "i16": "short",
    "u16": "ushort",
    "i32": "int",
    "u32": "uint",
    "i64": "long",
    "u64": "ulong",
    "f16": "float",
    "bf16": "float",
    "f32": "float",
    "f64": "double",
}
_BITS = {c: np.dtype(_DTYPES[c]).itemsize * 8 for c in _DTYPES if c != "bf16"} | {"bf16": 16}
_SIGNED = {8: "char", 16: "short", 32: "int", 64: "long"}
_CALL = re.compile(r"\b([a-z][a-z0-9_]*?)_(bf16|[fiu](?:8|16|32|64))x(1|2|4|8|16)\b(?=\()")
_CALL_END = re.compile(r"x(?:16|[1248])\(")  # begins with a letter: found many times faster
_NAME = re.compile(r"([a-z]\w*?)_(bf16|[fiu](?:8|16|32|64))x(1|2|4|8|16)")
_HEADER = "#define FX_INLINE static inline __attribute__((always_inline))\n"
_RARE = "static __attribute__((noinline, cold))"  # what a branch calls that is hardly ever taken
_OFTEN = "static __attribute__((noinline))"
RARE = ("large_reduce", "rem_bits")
SITES, LINES = 6, 12
"""A function of one lane that is called from so many places, and is so long, is called indeed."""


def calls(text: str) -> Counter[str]:
    """How often `text` calls each function with a width in its name, whosever it is."""
    found: Counter[str] = Counter()
    for match in _CALL_END.finditer(text):
        begin = end = match.end() - 1
        while begin and (text[begin - 1].isalnum() or text[begin - 1] == "_"):
            begin -= 1
        found[text[begin:end]] += 1
    return found


def needed(text: str | Iterable[str]) -> set[Needed]:
    """The functions of this library that `text` calls, or those among names of functions."""
    found = map(_parts, calls(text) if isinstance(text, str) else text)
    return {f for f in found if f is not None}


@cache
def _parts(name: str) -> Needed | None:
    """What a function's name says; None if it is not of this library."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in TEMPLATES:
        return None
    return match[1], np.dtype(_DTYPES[match[2]]), int(match[3])


@cache
def function_name(name: str, dtype, width: int) -> str:
    """`exp`, float32, 16 -> exp_f32x16; 16-bit floats are float32 unless the function is theirs."""
    exact = {"float16": "f16", "bfloat16": "bf16"}.get(np.dtype(dtype).name)
    kind = exact if exact in TEMPLATES.get(name, {}) else code(dtype)
    return f"{name}_{kind}x{width}"


def source(
    functions: Iterable[Needed],
    sites: Mapping[str, int] | None = None,
    looks_up: bool = False,
) -> str:
    """The definitions of `functions` and of all they call, each after what it calls.

    All are inlined. Given how often each is called (on CPUs, where a call is cheap), those are not
    that are rare, or of one lane and called from many places: inlining these is most of a build.
    `looks_up`: with those of `tables`, as `Profile.looks_up` says.
    Raises KeyError with the function's name if there is none of that name for that dtype.
    """
    order: dict[str, str] = {}
    for name in sorted(function_name(*f) for f in functions):
        _append(name, order, looks_up)
    if not order:
        return ""
    if sites is not None:
        lines: dict[str, int] = {}
        for name, text in order.items():
            lines[name] = text.count("\n") + sum(lines[c] for c in _instance(name, looks_up)[1])
            many = name.endswith("x1") and sites.get(name, 0) >= SITES
            often = many and lines[name] >= LINES
            rare = name.startswith(RARE)
            if often or rare:
                order[name] = text.replace("FX_INLINE", _RARE if rare else _OFTEN, 1)
                lines[name] = 1
    return _HEADER + "".join(order.values())


def _append(name: str, order: dict[str, str], looks_up: bool) -> None:
    if name in order:
        return
    text, inner = _instance(name, looks_up)
    for other in inner:
        _append(other, order, looks_up)
    order[name] = text


@cache
def _instance(name: str, looks_up: bool) -> tuple[str, tuple[str, ...]]:
    """One function's text, and the functions it calls in canonical order."""
    match = re.fullmatch(r"(\w+?)_(bf16|[fiu]\d+)x(\d+)", name)
    if match is None:
        raise KeyError(f"no function {name}")
    base, kind, width = match[1], match[2], int(match[3])
    kinds = TEMPLATES.get(base, {})
    if looks_up:
        kinds = kinds | tables.TEMPLATES.get(base, {})
    family = "float" if kind in ("f32", "f64") else "int" if kind[0] in "iu" else kind
    exact = kinds.get(f"{kind}x{width}") or kinds.get(f"{family}x{width}")
    template = exact or kinds.get(kind) or kinds.get(family)
    if template is None:
        raise KeyError(f"no function {name}: {base} is defined for {sorted(kinds) or 'nothing'}")
    text = expand(template if isinstance(template, str) else template(), kind, width)
    known = TEMPLATES | tables.TEMPLATES if looks_up else TEMPLATES
    calls = {m.group(0) for m in _CALL.finditer(text) if m.group(1) in known} - {name}
    return text, tuple(sorted(calls))


def expand(template: str, kind: str, width: int) -> str:
    """A template with its marks replaced.

    $F the type, $I and $U the signed and unsigned types of its width, $M its mask type;
    $N this element and width in names (f32x16), $NI, $NU those of $I and $U, $H with half the
    lanes; $W the width, $E the type of one lane; $i32, $f64, ... those types at this width;
    $toF( $toI( $toU( conversions, $asF( $asI( $asU( bit casts; $c{1.5} a literal, $v{1.5} spread.
    """
    w = "" if width == 1 else str(width)
    element, bits = _ELEMENT[kind], _BITS[kind]
    signed = _SIGNED[bits]
    float_kind = kind[0] in "fb"
    suffix = "f" if element == "float" and float_kind else ""
    types = {"F": element, "I": signed, "U": f"u{signed}"}
    types |= {c: e for c, e in _ELEMENT.items() if not c.endswith("f16")}
    marks = {"N": f"{kind}x{width}", "NI": f"i{bits}x{width}", "NU": f"u{bits}x{width}"}
    marks |= {"W": str(width), "H": f"{kind}x{width // 2}", "E": element}
    marks["M"] = "int" if width == 1 else f"{signed}{w}"
    for letter, t in types.items():
        marks[letter] = t + w
        marks[f"to{letter}"] = f"({t})" if width == 1 else f"convert_{t}{w}"
        marks[f"as{letter}"] = f"as_{t}{w}"

    def literal(match: re.Match) -> str:
        digits = match[2]
        if digits not in ("INFINITY", "NAN"):
            digits += suffix
        return digits if match[1] == "c" or width == 1 else f"({element}{w})({digits})"

    text = re.sub(r"\$([cv])\{([^}]*)\}", literal, template)
    text = re.sub(r"\$(\w+?)(?=\b|_)", lambda m: marks[m[1]], text)
    body = "\n".join(line.rstrip() for line in text.splitlines() if line.strip())
    return f"FX_INLINE {body}\n"
