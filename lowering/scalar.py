"""Scalar operations: the one table of what a `Map` can do to an element.

Each name has its result dtype, its NumPy meaning (scalar_numpy), its OpenCL text (scalar_text) and
a cost in flops. Float functions are calls such as `exp_f32x16(x)`, whose source lowering.mathlib
writes. Registers: bool is int 0/1 (any nonzero is true), or intW lanes 0/-1; floats of 8 and 16
bits are float32 in registers; complex is split into pairs before any text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowering import scalar_numpy, scalar_text
from lowering.scalar_text import (  # noqa: F401  the text half of this module's interface
    code,
    constant,
    from_memory,
    load,
    load_strided,
    memory_code,
    memory_type,
    prelude,
    register_type,
    splat,
    store,
    to_memory,
    vector_type,
)

Dtypes = Sequence[np.dtype]


@dataclass(frozen=True, slots=True)
class ScalarOp:
    """One operation: `result(dtypes)` its dtype (None: the caller gives it), `cost` in flops."""

    name: str
    arity: int
    result: Callable[[Dtypes], np.dtype] | None
    numpy: Callable[..., np.ndarray]
    text: Callable[[Dtypes, np.dtype, int, list[str]], str]
    cost: float


_REAL = {"F": np.dtype(np.float32), "D": np.dtype(np.float64)}
_COMPLEX = {4: np.dtype(np.complex64), 8: np.dtype(np.complex128)}
_BOOL = np.dtype(bool)


def _first(dtypes: Dtypes) -> np.dtype:
    return dtypes[0]


def _second(dtypes: Dtypes) -> np.dtype:
    return dtypes[1]


def _to_bool(dtypes: Dtypes) -> np.dtype:
    return _BOOL


def _real(dtypes: Dtypes) -> np.dtype:
    return _REAL.get(dtypes[0].char, dtypes[0])


def _complex(dtypes: Dtypes) -> np.dtype:
    return _COMPLEX[dtypes[0].itemsize]


# name: (arity, result rule, cost)
_TABLE: dict[str, tuple[int, Callable | None, float]] = {
    # the first operand, which is not the same node and is not there before the second is: what is
    # computed from it is computed again, and late
    "after": (2, _first, 0),
    # arithmetic
    **dict.fromkeys(("add", "sub", "mul"), (2, _first, 1)),
    "div": (2, _first, 4),
    "rem": (2, _first, 10),
    **dict.fromkeys(("neg", "conj"), (1, _first, 1)),
    "abs": (1, _real, 1),
    "sign": (1, _first, 2),
    **dict.fromkeys(("max", "min"), (2, _first, 2)),
    # rounding; `round` is half away from zero, `rint` half to even
    **dict.fromkeys(("floor", "ceil", "round", "rint", "trunc"), (1, _first, 4)),
    # elementary functions
    **dict.fromkeys(("sqrt", "rsqrt"), (1, _first, 6)),
    "cbrt": (1, _first, 20),
    **dict.fromkeys(("exp", "exp_down", "exp2", "expm1", "logistic"), (1, _first, 14)),
    **dict.fromkeys(("log", "log2", "log10", "log1p"), (1, _first, 16)),
    **dict.fromkeys(("sin", "cos"), (1, _first, 18)),
    "tan": (1, _first, 26),
    **dict.fromkeys(("asin", "acos", "atan"), (1, _first, 18)),
    "atan2": (2, _first, 24),
    **dict.fromkeys(("sinh", "cosh", "tanh"), (1, _first, 20)),
    **dict.fromkeys(("asinh", "acosh", "atanh"), (1, _first, 26)),
    **dict.fromkeys(("erf", "erfc", "erf_inv", "erf_inv_giles"), (1, _first, 30)),
    **dict.fromkeys(("lgamma", "digamma"), (1, _first, 60)),
    "pow": (2, _first, 40),
    "logaddexp": (2, _first, 34),
    "nextafter": (2, _first, 6),
    # bits: bool or integer
    **dict.fromkeys(("and", "or", "xor"), (2, _first, 1)),
    "not": (1, _first, 1),
    **dict.fromkeys(("shl", "shr", "shrl"), (2, _first, 2)),
    **dict.fromkeys(("popcount", "clz"), (1, _first, 8)),
    "mulhi": (2, _first, 2),
    # predicates
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), (2, _to_bool, 1)),
    **dict.fromkeys(("is_finite", "is_nan"), (1, _to_bool, 1)),
    "select": (3, _second, 1),
    # dtypes; the caller gives the result's
    "convert": (1, None, 1),
    "bitcast": (1, None, 0),
    # complex, of which kernels see only the parts
    **dict.fromkeys(("real", "imag"), (1, _real, 0)),
    "complex": (2, _complex, 0),
}

OPS: dict[str, ScalarOp] = {
    name: ScalarOp(
        name, arity, result, scalar_numpy.FUNCTIONS[name], scalar_text.writer(name), cost
    )
    for name, (arity, result, cost) in _TABLE.items()
}


def result_dtype(op: str, dtypes: Dtypes) -> np.dtype:
    """The dtype that `op` gives for operands of `dtypes`."""
    rule = OPS[op].result
    if rule is None:
        raise TypeError(f"scalar operation {op!r} needs its result dtype given")
    return rule([np.dtype(d) for d in dtypes])


def numpy(op: str, *arrays, dtype=None) -> np.ndarray:
    """What `op` means: NumPy arrays in, a NumPy array of `dtype` (default: the op's own) out."""
    arrays = tuple(np.asarray(a) for a in arrays)
    dtype = np.dtype(dtype) if dtype is not None else result_dtype(op, [a.dtype for a in arrays])
    with np.errstate(all="ignore"):
        return _computed(op, arrays, dtype)


def quiet_numpy(op: str, *arrays: np.ndarray) -> np.ndarray:
    """The same on arrays; the caller has silenced floating-point warnings (that costs 2 us)."""
    return _computed(op, arrays, result_dtype(op, [a.dtype for a in arrays]))


def _computed(op: str, arrays: tuple[np.ndarray, ...], dtype: np.dtype) -> np.ndarray:
    if op in ("convert", "bitcast"):
        return OPS[op].numpy(*arrays, dtype)
    out = np.asarray(OPS[op].numpy(*arrays))
    return out if out.dtype == dtype else out.astype(dtype)


def text(op: str, in_dtypes: Dtypes, out_dtype, width: int, args: Sequence[str]) -> str:
    """An OpenCL C expression over registers of `width` lanes; each argument is used once."""
    ins = [np.dtype(d) for d in in_dtypes]
    out = np.dtype(out_dtype)
    if any(d.kind == "c" for d in (*ins, out)):
        raise TypeError(f"scalar operation {op!r} on {ins}: complex numbers have no kernel text")
    if op not in _ON_FOUR_BITS and any(map(scalar_text.has_four_bits, (*ins, out))):
        name = next(d.name for d in (*ins, out) if scalar_text.has_four_bits(d))
        raise TypeError(f"{op} of {name} has no form in a kernel: convert to int8 before it")
    return OPS[op].text(ins, out, width, list(args))


def identity(op: str, dtype: np.dtype) -> Any:
    """What `op` joins to anything without changing it: where folds begin."""
    if op in ("max", "min"):
        if scalar_text.has_four_bits(dtype):
            return scalar_text.FOUR_BITS[dtype.name][op == "min"]
        if dtype.kind in "iu":
            ends = np.iinfo(dtype)
            return ends.min if op == "max" else ends.max
        least = op == "max"
        return not least if dtype.kind == "b" else -np.inf if least else np.inf
    if op == "and":
        return True if dtype.kind == "b" else -1 if dtype.kind == "i" else np.iinfo(dtype).max
    return _IDENTITIES[op]


_ON_FOUR_BITS = {"convert", "select", "after", "eq", "ne", "lt", "le", "gt", "ge"}
_IDENTITIES = {"add": 0, "mul": 1, "or": 0, "xor": 0, "logaddexp": -np.inf}


def cost(op: str) -> float:
    """Approximate flops for an element, for fusion decisions."""
    return OPS[op].cost
