"""Sort keys: an element of any dtype as an unsigned number whose order is the wanted one.

NaN is the largest, 0.0 and -0.0 are equal, false precedes true. The text reads a register value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowering import scalar

DIGIT = 8  # bits that one pass of a radix sort looks at
BINS = 1 << DIGIT


def sortable(dtype: Any) -> bool:
    """Whether kernels can hold elements of this dtype."""
    try:
        scalar.memory_type(dtype)
    except TypeError:
        return False
    return True


def bits(dtype: Any) -> int:
    """How many low bits of the key are used: 8, 16, 32 or 64."""
    d = np.dtype(dtype)
    return 8 * max(4 if scalar.code(d) == "f32" else 1, d.itemsize)


def word(dtype: Any) -> str:
    """The C type of the key."""
    return "ulong" if bits(dtype) == 64 else "uint"


def text(dtype: Any, value: str, descending: bool = False, exact: bool = False) -> str:
    """The key of a register value, an expression that names `value` more than once; `exact`: -0.0
    precedes 0.0, so that a key is of one element.
    """
    d = np.dtype(dtype)
    n, kind = bits(d), word(d)
    if scalar.code(d) in ("f32", "f64"):
        signed, top = ("long", "0x8000000000000000UL") if n == 64 else ("int", "0x80000000u")
        raw = f"as_{signed}({value})"
        if not exact:
            raw = f"as_{signed}({value} + {scalar.constant(0, d, 1)})"
        key = f"(({kind}){raw} ^ (({kind})({raw} >> {n - 1}) | {top}))"
        key = f"({value} != {value} ? ({kind})-1 : {key})"
    elif d.kind == "i" or d.name == "int4":
        key = f"(({kind}){value} ^ (({kind})1 << {n - 1}))"
        key = key if n >= 32 else f"({key} & {(1 << n) - 1}u)"
    else:
        key = f"({kind})({value})"
    if not descending:
        return key
    return f"~{key}" if n >= 32 else f"({(1 << n) - 1}u - {key})"


def invertible(dtype: Any) -> bool:
    """Whether `element` knows the dtype: numbers of 32 and 64 bits."""
    d = np.dtype(dtype)
    return d.kind in "iuf" and d.itemsize in (4, 8)


def element(dtype: Any, key: str) -> str:
    """The register value whose exact key, in ascending order, is `key`; any NaN for a NaN's."""
    d = np.dtype(dtype)
    n, kind = bits(d), word(d)
    top = f"(({kind})1 << {n - 1})"
    if d.kind == "f":
        return f"as_{scalar.register_type(d, 1)}({key} & {top} ? {key} ^ {top} : ~{key})"
    return f"({scalar.register_type(d, 1)})({key}{f' ^ {top}' if d.kind == 'i' else ''})"
