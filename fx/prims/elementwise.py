"""Arithmetic primitives: sums, products, powers, roots, rounding, signs, extrema.

Operands have one shape and dtype; scalars spread. The functions at the end (`add(x, y)`, ...) take
Python scalars too and serve the rules of every family. Comparisons and selection stand in
compare.py, conversions in convert.py, elementary functions in transcendental.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import core
from fx.avals import ShapedArray, is_inexact
from fx.core import Zero, instantiate, is_undefined
from fx.prims.convert import convert
from fx.prims.extrema import lowered, ordered
from fx.prims.powers import power
from fx.prims.registry import (
    Case,
    arithmetic,
    batch_elementwise,
    binary,
    check_dtype,
    elementwise_shape,
    floating,
    inexact,
    no,
    number,
    primitive,
    real,
    spread,
    transpose_linear_operand,
    unary,
    unspread,
)
from fx.prims.scalars import matched
from lowering import scalar

INTS = (np.int32, np.uint8)
FLOATS = (np.float32,)


def meaning(op: str) -> Any:
    """The NumPy rule that is the scalar operation's own meaning (XLA's, where NumPy's differs)."""
    return lambda *xs: scalar.quiet_numpy(op, *xs)


# ---------------------------------------------------------------- sums


def _add_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, y)]
    return [unspread(ct, a.aval) if is_undefined(a) else None for a in (x, y)]


def _sub_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    cx, cy = _add_transpose(ct, x, y)
    return [cx, cy if cy is None or type(cy) is Zero else -cy]


_pass_on = (lambda x, y, out, t: t, lambda x, y, out, t: t)

add_p = binary(
    "add",
    arithmetic,
    "Sum, element by element.",
    numpy=np.add,
    jvp=_pass_on,
    transpose=_add_transpose,
    scalar="add",
    dtypes=(np.float32, np.int32, np.complex64),
)
add_any_p = binary(
    "add_any",
    arithmetic,
    "Sum of two cotangents of one value.",
    numpy=np.add,
    jvp=_pass_on,
    transpose=_add_transpose,
    scalar="add",
)
sub_p = binary(
    "sub",
    number,
    "Difference, element by element.",
    numpy=np.subtract,
    jvp=(lambda x, y, out, t: t, lambda x, y, out, t: -t),
    transpose=_sub_transpose,
    scalar="sub",
    dtypes=(np.float32, np.uint8),
)
neg_p = unary(
    "neg",
    number,
    "Negation, element by element.",
    numpy=np.negative,
    jvp="linear",
    transpose=transpose_linear_operand(lambda ct, aval: neg_p.bind(ct)),
    scalar="neg",
    dtypes=(np.float32, np.int32),
)

# ---------------------------------------------------------------- products


def _mul_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(a.aval) if is_undefined(a) else None for a in (x, y)]
    if is_undefined(x):
        return [unspread(mul(ct, y), x.aval), None]
    return [None, unspread(mul(ct, x), y.aval)]


def _div_transpose(ct: Any, x: Any, y: Any) -> list[Any]:
    if type(ct) is Zero:
        return [Zero(x.aval), None]
    return [unspread(div(ct, y), x.aval), None]


mul_p = binary(
    "mul",
    arithmetic,
    "Product, element by element.",
    numpy=np.multiply,
    jvp=(lambda x, y, out, t: t * y, lambda x, y, out, t: x * t),
    transpose=_mul_transpose,
    scalar="mul",
    dtypes=(np.float32, np.int32, np.complex64),
)
div_p = binary(
    "div",
    number,
    "Quotient, element by element; integers round toward zero, x / 0 is -1.",
    numpy=meaning("div"),
    jvp=(
        lambda x, y, out, t: div_p.bind(t, spread(y, out)),
        lambda x, y, out, t: div_p.bind(-t * out, spread(y, out)),  # transposed: ct / y, as for x
    ),
    transpose=_div_transpose,
    scalar="div",
    near=((-2.0, 2.0), (0.5, 2.0)),
    dtypes=(np.float32, np.int32, np.complex64),
)
rem_p = binary(
    "rem",
    real,
    "Remainder of division toward zero, with the sign of the dividend.",
    numpy=meaning("rem"),
    jvp=(
        lambda x, y, out, t: t,
        lambda x, y, out, t: -t * trunc(div_p.bind(x, y)),
    ),
    scalar="rem",
    near=((2.1, 2.9), (0.8, 0.95)),
    dtypes=(np.float32, np.int32),
)


def trunc(x: Any) -> Any:
    """Rounding toward zero, from sign, floor and abs."""
    return sign_p.bind(x) * floor_p.bind(abs_p.bind(x))


# ---------------------------------------------------------------- rounding and signs

floor_p = unary(
    "floor",
    floating,
    "The largest integer that is not greater, in the operand's dtype.",
    numpy=np.floor,
    jvp="zero",
    scalar="floor",
)
ceil_p = unary(
    "ceil",
    floating,
    "The smallest integer that is not less, in the operand's dtype.",
    numpy=np.ceil,
    jvp="zero",
    scalar="ceil",
)


def _round_abstract(x: ShapedArray, *, rounding_method: int) -> ShapedArray:
    check_dtype("round", x.dtype, floating)
    return x


round_p = primitive(
    "round",
    "The nearest integer; halves go away from zero (rounding_method 0) or to even (1).",
    abstract=_round_abstract,
    numpy=lambda x, *, rounding_method: np.rint(x) if rounding_method else scalar.numpy("round", x),
    jvp="zero",
    transpose=no("its derivative is zero everywhere"),
    batch=lambda axis, args, dims, **params: batch_elementwise(round_p, axis, args, dims, params),
    lower=lambda b, x, *, rounding_method: b.map("rint" if rounding_method else "round", x),
    cases=lambda: (
        [Case((s,), {"rounding_method": 0}, ranges=((0.6, 1.4),)) for s in ((2, 3), (), (0,))]
        + [
            Case(
                ((6,),),
                {"rounding_method": m},
                ranges=(np.array([0.5, 1.5, 2.5, -0.5, -1.2, 0.49999997], np.float32),),
                diff=(),
            )
            for m in (0, 1)
        ]
    ),
)
round_p.elementwise = True


sign_p = unary(
    "sign",
    number,
    "-1, 0 or 1 by sign; x / abs(x) for complex; keeps -0.0 and NaN.",
    numpy=meaning("sign"),
    jvp="zero",
    scalar="sign",
    near=(0.2, 2.0),
    dtypes=(np.float32, np.int32),
)
_sign_cases = sign_p.cases
sign_p.cases = lambda: [*_sign_cases(), Case(((2, 3),), {}, (np.complex64,), diff=())]
sign_p.limits = {"derivative": "that of complex numbers is defined to be zero, as in JAX"}


def _real_of(dtype: np.dtype) -> np.dtype:
    return {8: np.dtype(np.float32), 16: np.dtype(np.float64)}[dtype.itemsize]


def _abs_result(dtype: np.dtype) -> np.dtype:
    return _real_of(dtype) if dtype.kind == "c" else dtype


def _abs_jvp(x: Any, y: Any, t: Any) -> Any:
    """1 at 0, as JAX decided; for complex x it is Re(t conj(x)) / |x|, and 0 at 0."""
    from fx.prims import compare
    from fx.prims.complex_ import conj, real

    if core.get_aval(x).dtype.kind != "c":
        return compare.select(compare.ge(x, 0), t, -t)
    safe = compare.select(compare.eq(y, 0), spread(one_like(y), y), y)
    return real(t * conj(x)) / safe


abs_p = unary(
    "abs",
    number,
    "Absolute value, element by element; of complex numbers the modulus, which is real.",
    numpy=np.abs,
    jvp=_abs_jvp,
    scalar="abs",
    result=_abs_result,
    near=(0.3, 2.0),
    dtypes=(np.float32, np.int32, np.complex64),
)

# ---------------------------------------------------------------- extrema


def _share(x: Any, out: Any, other: Any) -> Any:
    """1 where x is the extremum, one half where both operands are."""
    from fx.prims import compare

    one, zero = one_like(out), zero_like(out)
    half = convert(0.5, core.get_aval(out).dtype)
    x, other = spread(x, out), spread(other, out)
    tied = compare.select(compare.eq(other, out), spread(half, out), spread(one, out))
    return compare.select(compare.eq(x, out), tied, spread(zero, out))


_extremum_jvp = (
    lambda x, y, out, t: t * _share(x, out, y),
    lambda x, y, out, t: t * _share(y, out, x),
)


max_p = binary(
    "max",
    arithmetic,
    "The larger of two, element by element; NaN wins; ties share the derivative evenly.",
    numpy=ordered(np.greater),
    jvp=_extremum_jvp,
    scalar="max",
    near=((-2.0, 2.0), (2.5, 3.0)),
    dtypes=(np.float32, np.int32),
)
max_p.set(lower=lowered("max", "gt"))
min_p = binary(
    "min",
    arithmetic,
    "The smaller of two, element by element; NaN wins; ties share the derivative evenly.",
    numpy=ordered(np.less),
    jvp=_extremum_jvp,
    scalar="min",
    near=((-2.0, 2.0), (2.5, 3.0)),
    dtypes=(np.float32, np.int32),
)
min_p.set(lower=lowered("min", "lt"))

# ---------------------------------------------------------------- powers and roots

square_p = unary(
    "square",
    number,
    "x * x, element by element.",
    numpy=np.square,
    jvp=lambda x, y, t: t * (2 * x),
    scalar="mul",
    dtypes=(np.float32, np.complex64),
)
square_p.set(lower=lambda b, x: b.map("mul", x, x))
sqrt_p = unary(
    "sqrt",
    inexact,
    "Square root, element by element.",
    numpy=np.sqrt,
    jvp=lambda x, y, t: t * (0.5 / y),
    scalar="sqrt",
    near=(0.3, 2.0),
    dtypes=(np.float32, np.complex64),
)
rsqrt_p = unary(
    "rsqrt",
    inexact,
    "1 / sqrt(x), element by element.",
    numpy=lambda x: (1 / np.sqrt(x)).astype(x.dtype),
    jvp=lambda x, y, t: t * (-0.5 * (y / x)),
    scalar="rsqrt",
    near=(0.5, 2.0),
)
cbrt_p = unary(
    "cbrt",
    floating,
    "Real cube root, element by element.",
    numpy=np.cbrt,
    jvp=lambda x, y, t: t * (1 / 3) * integer_pow_p.bind(y, y=-2),
    scalar="cbrt",
    near=(0.5, 2.0),
)


def _by_squaring(x: Any, n: int, one: Any, multiply: Any, divide: Any) -> Any:
    """x**n in about log2(n) products; the same sequence in NumPy and in kernels."""
    if n == 0:
        return one
    power, base, left = None, x, abs(n)
    while left:
        if left & 1:
            power = base if power is None else multiply(power, base)
        left >>= 1
        if left:
            base = multiply(base, base)
    return divide(one, power) if n < 0 else power


def _integer_pow_abstract(x: ShapedArray, *, y: int) -> ShapedArray:
    if y < 0 and not is_inexact(x.dtype):
        raise TypeError(f"Integers cannot be raised to negative powers, got integer_pow({x}, {y}).")
    return x


def _integer_pow_jvp(primals: Any, tangents: Any, *, y: int) -> Any:
    (x,), (t,) = primals, tangents
    out = integer_pow(x, y)
    if type(t) is Zero or y == 0:
        return out, Zero.like(out)
    return out, t if y == 1 else t * (y * integer_pow(x, y - 1))


integer_pow_p = primitive(
    "integer_pow",
    "x to a power that is a Python integer, by repeated squaring; 0**0 is 1.",
    abstract=_integer_pow_abstract,
    numpy=lambda x, *, y: _by_squaring(x, y, np.ones_like(x), np.multiply, np.divide),
    jvp=_integer_pow_jvp,
    transpose=no("it is not linear; integer_pow(x, 1) is never recorded"),
    batch=lambda axis, args, dims, **params: batch_elementwise(
        integer_pow_p, axis, args, dims, params
    ),
    lower=lambda b, x, *, y: _by_squaring(
        x,
        y,
        b.const(1, x.dtype, x.shape),
        lambda p, q: b.map("mul", p, q),
        lambda p, q: b.map("div", p, q),
    ),
    cases=lambda: (
        [Case(((2, 3),), {"y": y}, ranges=((0.5, 2.0),)) for y in (0, 2, 3, 7, -2)]
        + [Case(((3,),), {"y": 3}, (np.int32,), ((-3, 4),))]
        + [Case((s,), {"y": 2}) for s in ((), (0,))]
    ),
)
integer_pow_p.elementwise = True


def _pow_abstract(x: ShapedArray, y: ShapedArray) -> ShapedArray:
    if not is_inexact(x.dtype):
        raise TypeError(f"pow requires an inexact base, got {x.dtype.name}.")
    if y.dtype != x.dtype and y.dtype.kind not in "iu":
        raise TypeError(
            f"lax.pow requires an exponent of the base's dtype or an integer one, got "
            f"{x.dtype.name}, {y.dtype.name}."
        )
    return ShapedArray(elementwise_shape("pow", (x, y)), x.dtype, x.weak_type and y.weak_type)


def _pow_jvp(primals: Any, tangents: Any) -> Any:
    """d/dx = y x^(y-1), and 0 where an integer y is 0; d/dy = log(x) x^y, and 0 where x is 0."""
    from fx.prims import compare

    (x, y), (tx, ty) = primals, tangents
    out = pow_p.bind(x, y)
    parts = []
    if type(tx) is not Zero:
        one = spread(one_like(y), y)
        lower = y - one
        if not is_inexact(core.get_aval(y).dtype):  # 0 x^0, also where -1 is a large number
            lower = compare.select(compare.eq(y, 0), spread(zero_like(y), y), lower)
        slope = convert(y, core.get_aval(x).dtype) * pow_p.bind(x, lower)
        parts.append(tx * slope)
    if type(ty) is not Zero and is_inexact(core.get_aval(y).dtype):
        from fx.prims.transcendental import log_p

        safe = compare.select(compare.eq(x, 0), spread(one_like(x), x), x)
        parts.append(ty * (log_p.bind(safe) * out))
    if not parts:
        return out, Zero.like(out)
    parts = [spread(p, out) for p in parts]
    return out, parts[0] if len(parts) == 1 else core.add_values(*parts)


def _pow_numpy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if y.dtype != x.dtype:
        y = y.astype(x.dtype)
    return np.power(x, y)


pow_p = primitive(
    "pow",
    "x to the power y, element by element; y has the dtype of x or an integer one.",
    abstract=_pow_abstract,
    numpy=_pow_numpy,
    jvp=_pow_jvp,
    transpose=no("it is linear in neither operand"),
    batch=lambda axis, args, dims: batch_elementwise(pow_p, axis, args, dims, {}),
    lower=lambda b, x, y: power(b, x, b.convert(y, x.dtype)),
    cases=lambda: [
        Case(((2, 3), (2, 3)), ranges=((0.5, 2.0), (-2.0, 2.0))),
        Case(((), ()), ranges=((0.5, 2.0), (-2.0, 2.0))),
        Case(((0,), (0,))),
        Case(((3,), (3,)), {}, (np.float32, np.int32), ((0.5, 2.0), (-2, 3)), (0,)),
        Case(
            ((4,), (4,)),
            ranges=(np.asarray([0, 0, 2, -2], np.float32), np.asarray([0, 2, 0, 3], np.float32)),
            diff=(),
        ),
        Case(((2,), (2,)), ranges=(np.asarray([0, 0.5]), np.asarray([2, 1.5])), diff=(1,)),
    ],
)
pow_p.elementwise = True

nextafter_p = binary(
    "nextafter",
    floating,
    "The next representable number after x in the direction of y.",
    numpy=np.nextafter,
    jvp=no("it is a step function"),
    scalar="nextafter",
)


def _mulhi(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    bits = 8 * x.dtype.itemsize
    wide = np.dtype(f"{x.dtype.kind}8" if bits < 64 else object)  # Python's integers hold 128
    product = np.asarray(x.astype(wide) * y.astype(wide))
    return np.asarray(product >> wide.type(bits) if bits < 64 else product >> 64).astype(x.dtype)


def _mulhi_lower(b: Any, x: Any, y: Any) -> Any:
    """By a product twice as wide; of 64 bits by halves, whose shifts keep the sign."""
    kind, bits, shape = x.dtype.kind, 8 * x.dtype.itemsize, x.shape or y.shape
    if x.dtype == np.uint32:
        return b.map("mulhi", x, y)
    wide = np.dtype(f"{kind}{min(x.dtype.itemsize * 2, 8)}")

    def number(value: int) -> Any:
        scalar = b.const(value, wide)
        return b.broadcast(scalar, shape, ()) if shape else scalar

    shift = "shr" if kind == "i" else "shrl"
    if bits < 64:
        product = b.map("mul", b.convert(x, wide), b.convert(y, wide))
        return b.convert(b.map(shift, product, number(bits)), x.dtype)

    def high(v: Any) -> Any:
        return b.map(shift, v, number(32))

    def low(v: Any) -> Any:
        return b.map("and", v, number(2**32 - 1))

    below = b.map("shrl", b.map("mul", low(x), low(y)), number(32))
    cross = b.map("add", b.map("mul", high(x), low(y)), below)
    other = b.map("add", b.map("mul", low(x), high(y)), low(cross))
    return b.map("add", b.map("add", b.map("mul", high(x), high(y)), high(cross)), high(other))


mulhi_p = binary(
    "mulhi",
    lambda dtype: dtype.kind in "iu",
    "The high half of the product of two words, which has twice their bits.",
    numpy=_mulhi,
    jvp="zero",
    scalar="mulhi",
    near=((-(2**31), 2**31 - 1), (-(2**31), 2**31 - 1)),
    dtypes=(np.uint32, np.int32),
)
mulhi_p.set(lower=_mulhi_lower)

# ---------------------------------------------------------------- functions for rules


def one_like(x: Any) -> Any:
    """The scalar 1 in the dtype of x."""
    return core.get_aval(x).dtype.type(1)


def zero_like(x: Any) -> Any:
    """The scalar 0 in the dtype of x."""
    return core.get_aval(x).dtype.type(0)


def add(x: Any, y: Any) -> Any:
    return add_p.bind(*matched(x, y))


def sub(x: Any, y: Any) -> Any:
    return sub_p.bind(*matched(x, y))


def mul(x: Any, y: Any) -> Any:
    return mul_p.bind(*matched(x, y))


def div(x: Any, y: Any) -> Any:
    return div_p.bind(*matched(x, y))


def neg(x: Any) -> Any:
    return neg_p.bind(x)


def integer_pow(x: Any, y: int) -> Any:
    """x ** y for a Python integer y; the first power is x itself, the second one product."""
    if y == 1:
        return x
    return square_p.bind(x) if y == 2 else integer_pow_p.bind(x, y=int(y))


def _add_values(x: Any, y: Any) -> Any:
    if type(x) is Zero or type(y) is Zero:
        return y if type(x) is Zero else x
    return add_any_p.bind(instantiate(x), instantiate(y))


core.install("add_values", _add_values)
