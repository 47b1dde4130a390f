"""The OpenCL C half of lowering.scalar: register types, constants, memory access, expressions.

An expression uses each argument once, so arguments may be expressions; what needs one twice is an
inline function of lowering.mathlib, named `op_<code>x<width>`. Everything is plain arithmetic on
vectors: on PoCL a builtin is a call that stops vectorisation (docs/why).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np

# dtype name: (code, type in registers, type in memory)
_TYPES = {
    "bool": ("b8", "int", "uchar"),
    "int8": ("i8", "char", "char"),
    "uint8": ("u8", "uchar", "uchar"),
    "int16": ("i16", "short", "short"),
    "uint16": ("u16", "ushort", "ushort"),
    "int32": ("i32", "int", "int"),
    "uint32": ("u32", "uint", "uint"),
    "int64": ("i64", "long", "long"),
    "uint64": ("u64", "ulong", "ulong"),
    "int4": ("i8", "char", "char"),
    "uint4": ("u8", "uchar", "uchar"),
    "float16": ("f16", "float", "ushort"),
    "bfloat16": ("bf16", "float", "ushort"),
    "float8_e4m3fn": ("e4m3", "float", "uchar"),
    "float8_e5m2": ("e5m2", "float", "uchar"),
    "float32": ("f32", "float", "float"),
    "float64": ("f64", "double", "double"),
}
NARROW = frozenset(name for name, entry in _TYPES.items() if entry[1] == "float" != entry[2])
"""Floats that are float32 in registers."""
FOUR_BITS = {"int4": (-8, 7), "uint4": (0, 15)}
"""Integers of four bits, each in a byte: their least and largest. Registers hold whole bytes."""
_ALIGN = {"uchar": 1, "char": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4}
WIDTHS = (1, 2, 4, 8, 16)


@cache
def _name(dtype) -> str:
    """NumPy makes a dtype's name anew each time; this keeps it."""
    return np.dtype(dtype).name


def has_four_bits(dtype) -> bool:
    """Whether it is one of `FOUR_BITS`."""
    return _name(dtype) in FOUR_BITS


@cache
def _entry(dtype) -> tuple[str, str, str]:
    name = np.dtype(dtype).name
    if name not in _TYPES:
        raise TypeError(f"dtype {name} has no form in a kernel: convert it outside jit")
    return _TYPES[name]


@cache
def code(dtype) -> str:
    """The short name of what holds `dtype` in a register: f32 for float16 too, b8 for bool."""
    entry = _entry(dtype)
    return "f32" if entry[1] == "float" else entry[0]


@cache
def memory_code(dtype) -> str:
    """The short name of what holds `dtype` in memory: u16 for floats of 16 bits, u8 for bool."""
    element, size = memory_type(dtype), np.dtype(dtype).itemsize
    kind = "u" if element[0] == "u" else "f" if element in ("float", "double") else "i"
    return f"{kind}{8 * size}"


def vector_type(element: str, width: int) -> str:
    return element if width == 1 else f"{element}{width}"


@cache
def register_type(dtype, width: int) -> str:
    """The C type of a value of `dtype` in registers: bool is int or an intW mask."""
    return vector_type(_entry(dtype)[1], width)


@cache
def memory_type(dtype) -> str:
    """The C type of an element of `dtype` in memory."""
    return _entry(dtype)[2]


def contraction(on: bool = True) -> str:
    """Whether, from here to its block's end, a product and the sum it is in are rounded once."""
    return f"#pragma OPENCL FP_CONTRACT {'ON' if on else 'OFF'}"


def prelude(widths: Iterable[int], dtypes: Iterable, more: Iterable[str] = ()) -> str:
    """Pragmas, and a typedef `float16_u` for unaligned access per width and memory type, also
    those of `more`.
    """
    elements = sorted({*(memory_type(d) for d in dtypes), *more})
    lines = [contraction()]
    if "double" in elements:
        lines.insert(0, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable")
    for element in elements:
        for w in sorted(set(widths) - {1}):
            align = _ALIGN.get(element, 8)
            lines.append(f"typedef {element}{w} __attribute__((aligned({align}))) {element}{w}_u;")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------- values


def constant(value, dtype, width: int) -> str:
    """A literal of `dtype`, spread over `width` lanes."""
    element = _entry(dtype)[1]
    name = _name(dtype)
    if name == "bool":
        literal = str(int(bool(value)) * (1 if width == 1 else -1))
    elif element in ("float", "double"):
        literal = _float_literal(value, element, name)
    else:
        literal = _int_literal(int(value), element)
    return literal if width == 1 else f"({vector_type(element, width)})({literal})"


def _float_literal(value, element: str, name: str) -> str:
    x = float(value)
    if name != "float64" and not np.isinf(x):  # registers have infinities that memory may not have
        x = float(np.asarray(value).astype(name))
    if np.isnan(x):
        return "NAN" if element == "float" else "(double)NAN"
    if np.isinf(x):
        literal = "INFINITY" if element == "float" else "(double)INFINITY"
        return f"(-{literal})" if x < 0 else literal
    digits = repr(x) if element == "double" else str(np.float32(x))
    if not any(c in digits for c in ".e"):
        digits += ".0"
    literal = digits + ("f" if element == "float" else "")
    return f"({literal})" if literal.startswith("-") else literal


def _int_literal(value: int, element: str) -> str:
    if element == "int":
        return "(-2147483647 - 1)" if value == -(2**31) else _signed(str(value))
    if element == "long":
        return "(-9223372036854775807L - 1)" if value == -(2**63) else _signed(f"{value}L")
    if element == "uint":
        return f"{value}u"
    if element == "ulong":
        return f"{value}UL"
    return f"({element}){_signed(str(value))}"


def _signed(digits: str) -> str:
    return f"({digits})" if digits.startswith("-") else digits


def splat(dtype, width: int, value: str) -> str:
    """A scalar register spread over `width` lanes."""
    if width == 1:
        return value
    lanes = register_type(dtype, width)
    return f"({lanes})(-(({value}) != 0))" if np.dtype(dtype).kind == "b" else f"({lanes})({value})"


def cast(element: str, width: int, value: str) -> str:
    """C conversion of a register to another element type."""
    return f"({element})({value})" if width == 1 else f"convert_{element}{width}({value})"


# ---------------------------------------------------------------- memory


def load(dtype, width: int, pointer: str, space: str = "__global") -> str:
    """The `width` elements at `pointer` (of the memory type, any alignment), in a register."""
    element = memory_type(dtype)
    if width == 1:
        return from_memory(dtype, 1, f"*({pointer})")
    return from_memory(dtype, width, f"*({space} const {element}{width}_u *)({pointer})")


def load_strided(dtype, width: int, pointer: str, stride: int) -> str:
    """Elements 0, stride, 2 stride, ... at `pointer`, in a register of `width` lanes: of a CPU from
    whole registers, where there are fewer of them than lanes.
    """
    if width == 1 or stride == 1:
        return load(dtype, width, pointer)
    if stride == 0:
        return splat(dtype, width, load(dtype, 1, pointer))
    if stride == -1 and width <= 16:
        there = f"*(__global const {memory_type(dtype)}{width}_u *)({pointer} - {width - 1})"
        back = ", ".join(map(str, reversed(range(width))))
        text = f"__builtin_shufflevector({there}, {there}, {back})"
        return from_memory(dtype, width, text)
    memory = memory_code(dtype)
    if 1 < stride <= width // 2 and memory[1:] in ("32", "64") and int(memory[1:]) * width >= 256:
        return from_memory(dtype, width, f"strided{stride}_{memory}x{width}({pointer})")
    lanes = ", ".join(f"({pointer})[{k * stride}]" for k in range(width))
    return from_memory(dtype, width, f"({memory_type(dtype)}{width})({lanes})")


def store(dtype, width: int, pointer: str, value: str, space: str = "__global") -> str:
    """An assignment (without its semicolon) of a register to the elements at `pointer`."""
    target = pointer if width == 1 else f"({space} {memory_type(dtype)}{width}_u *)({pointer})"
    return f"*({target}) = {to_memory(dtype, width, value)}"


def from_memory(dtype, width: int, value: str) -> str:
    """A memory value as a register value."""
    name = _name(dtype)
    if name == "bool":
        return cast("int", 1, value) if width == 1 else f"({cast('int', width, value)} != 0)"
    if name in NARROW:
        return f"from_{_entry(dtype)[0]}_{memory_code(dtype)}x{width}({value})"
    if has_four_bits(dtype):
        return _lowest_four(dtype, width, value)
    return value


def to_memory(dtype, width: int, value: str) -> str:
    """A register value as a memory value."""
    name = _name(dtype)
    if name == "bool":
        return cast("uchar", width, f"({value}) != 0" if width == 1 else f"({value}) & 1")
    if name in NARROW:
        return f"to_{_entry(dtype)[0]}_f32x{width}({value})"
    if name == "int4":  # NumPy's have zeros above
        return cast("char", width, f"{value} & {constant(15, np.int8, width)}")
    return value


# ---------------------------------------------------------------- expressions

Writer = Callable[[Sequence[np.dtype], np.dtype, int, list[str]], str]
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^"}
_COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_MASK_ORDER = {"lt": ">", "le": ">=", "gt": "<", "ge": "<="}  # -1 is true in a vector mask
_INTEGER_CALLS = {"abs", "sign", "max", "min", "div", "rem"} | {
    "shl",
    "shr",
    "shrl",
    "popcount",
    "clz",
    "mulhi",
}
_BOOL_AS = {"add": "or", "mul": "and", "max": "or", "min": "and"}


def writer(op: str) -> Writer:
    """The function that writes `op`: a special form, an infix operator, or a mathlib call."""
    if op in _SPECIAL:
        return _SPECIAL[op]
    if op in _COMPARE:
        return lambda ins, out, w, args: _compare(op, ins[0], w, args)
    if op in _INFIX or op in _BOOL_AS:
        return lambda ins, out, w, args: _arithmetic(op, ins[0], w, args)
    return lambda ins, out, w, args: call(op, ins[0], w, args)


def call(op: str, dtype, width: int, args: Sequence[str]) -> str:
    """A call of a mathlib function."""
    if (code(dtype)[0] != "f" and op not in _INTEGER_CALLS) or code(dtype) == "b8":
        raise TypeError(f"scalar operation {op!r} of {np.dtype(dtype)}")
    return f"{op}_{code(dtype)}x{width}({', '.join(args)})"


def _arithmetic(op: str, dtype: np.dtype, width: int, args: list[str]) -> str:
    a, b = args
    if dtype.kind == "b":
        name = _BOOL_AS.get(op, op)
        if name not in ("and", "or", "xor"):
            raise TypeError(f"scalar operation {op!r} of bool")
        sign = _INFIX[name]
        return f"(({a} != 0) {sign} ({b} != 0))" if width == 1 else f"({a} {sign} {b})"
    if op in ("max", "min") or (op == "div" and dtype.kind in "iu"):
        return call(op, dtype, width, args)
    if width == 1 and dtype.kind in "iu" and op in ("add", "sub", "mul"):
        wide = "ulong" if dtype.itemsize == 8 else "uint"  # signed overflow is undefined in C
        return f"({_entry(dtype)[1]})(({wide}){a} {_INFIX[op]} ({wide}){b})"
    if width == 1 and dtype.kind in "iu" and dtype.itemsize < 4:
        return f"({_entry(dtype)[1]})({a} {_INFIX[op]} {b})"
    return f"({a} {_INFIX[op]} {b})"


def _compare(op: str, dtype: np.dtype, width: int, args: list[str]) -> str:
    a, b = args
    if dtype.kind == "b":
        if width == 1:
            return f"(({a} != 0) {_COMPARE[op]} ({b} != 0))"
        return f"({a} {_MASK_ORDER.get(op, _COMPARE[op])} {b})"
    return _as_mask(f"({a} {_COMPARE[op]} {b})", dtype, width)


def _as_mask(lanes: str, dtype: np.dtype, width: int) -> str:
    """A comparison's own lanes (of the operands' element width) as an intW mask."""
    if width == 1 or code(dtype) in ("f32", "i32", "u32"):
        return lanes
    return f"convert_int{width}({lanes})"


def _neg(ins, out, width, args):
    dtype = ins[0]
    if width == 1 and dtype.kind in "iu":
        wide = "ulong" if dtype.itemsize == 8 else "uint"
        return f"({_entry(dtype)[1]})(-({wide}){args[0]})"
    return f"(-{args[0]})"


def _not(ins, out, width, args):
    if ins[0].kind == "b":
        return f"(!{args[0]})" if width == 1 else f"(~{args[0]})"
    if width == 1 and ins[0].itemsize < 4:
        return f"({_entry(ins[0])[1]})(~{args[0]})"
    return f"(~{args[0]})"


def _select(ins, out, width, args):
    pred, a, b = args
    if width == 1:
        return f"({pred} ? {a} : {b})"
    size = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "long": 8, "ulong": 8, "double": 8}
    mask = {1: "char", 2: "short", 8: "long"}.get(size.get(_entry(out)[1], 4))
    pred = pred if mask is None else f"convert_{mask}{width}({pred})"
    return f"({pred} ? {a} : {b})"


def _predicate(op: str) -> Writer:
    def write(ins, out, width, args):
        if ins[0].kind in "iub":
            raise TypeError(f"{op} of {ins[0]}")
        return _as_mask(call(op, ins[0], width, args), ins[0], width)

    return write


def _convert(ins, out, width, args):
    source, value = ins[0], args[0]
    element = _entry(out)[1]
    if out == source:
        return value
    if out.kind == "b":
        small = width > 1 and code(source)[1:] in ("8", "16")  # a literal 0 is too wide for them
        return _as_mask(f"({value} != {constant(0, source, width) if small else 0})", source, width)
    if has_four_bits(out):
        return _four_bits(source, out, width, value)
    if source.kind == "b":
        value = f"({value} != 0)" if width == 1 else f"({value} & 1)"
        return value if element == "int" else cast(element, width, value)
    from_float = _entry(source)[1] in ("float", "double")
    if from_float and element not in ("float", "double"):
        return call(f"to_{code(out)}", source, width, [value])
    if _entry(source)[1] != element:
        value = cast(element, width, value)
    if _name(out) in NARROW:
        return call(f"round_{_entry(out)[0]}", np.float32, width, [value])
    return value


def _four_bits(source, out, width: int, value: str) -> str:
    """Floats saturate; of integers the lowest four bits are kept."""
    if source.kind != "b" and _entry(source)[1] in ("float", "double"):
        whole = call(f"to_{code(out)}", source, width, [value])
        return f"clip4_{code(out)}x{width}({whole})"
    if source.kind == "b":
        value = f"({value} & 1)"
    return _lowest_four(out, width, cast(_entry(out)[1], width, value))


def _lowest_four(dtype, width: int, value: str) -> str:
    """The integer that the lowest four bits of a byte are."""
    element = _entry(dtype)[1]
    if element == "uchar":
        return cast(element, width, f"{value} & {constant(15, dtype, width)}")
    four = constant(4, dtype, width)
    return cast(element, width, f"{cast(element, width, f'{value} << {four}')} >> {four}")


def _bitcast(ins, out, width, args):
    source, value = ins[0], args[0]
    if "b" in (source.kind, out.kind):
        raise TypeError(f"bitcast from {source} to {out}")
    value = to_memory(source, width, value)
    element = vector_type(memory_type(out), width)
    if memory_type(source) != memory_type(out):
        value = f"as_{element}({value})"
    return from_memory(out, width, value)


def _nextafter(ins, out, width, args):
    if out.itemsize == 1:
        raise TypeError(f"nextafter of {_name(out)} has no form in a kernel: call it outside jit")
    if _entry(out)[0] in ("f16", "bf16"):
        return f"nextafter_{_entry(out)[0]}x{width}({', '.join(args)})"
    return call("nextafter", out, width, args)


def _identity(ins, out, width, args):
    return args[0]


def _no_text(ins, out, width, args):
    raise TypeError("complex numbers have no kernel text")


def _abs(ins, out, width, args):
    return args[0] if ins[0].kind in "ub" else call("abs", ins[0], width, args)


_SPECIAL: dict[str, Writer] = {
    "neg": _neg,
    "not": _not,
    "abs": _abs,
    "select": _select,
    "is_finite": _predicate("is_finite"),
    "is_nan": _predicate("is_nan"),
    "convert": _convert,
    "bitcast": _bitcast,
    "nextafter": _nextafter,
    "after": _identity,
    "real": _identity,
    "conj": _identity,
    "imag": _no_text,
    "complex": _no_text,
}
