"""Signs, extrema, rounding, tests and float conversions: exact functions in plain arithmetic.

Rounding adds and subtracts 2^23 (2^52) on the magnitude: the sum has no room for a fraction.
"""

_BIG = {"f32": "8388608.0f", "f64": "4503599627370496.0"}
_TOP = {"f32": "0x80000000u", "f64": "0x8000000000000000UL"}
_INF = {"f32": "0x7f800000", "f64": "0x7ff0000000000000L"}
_REST = {"f32": "0x7fffffff", "f64": "0x7fffffffffffffffL"}


def _both(template: str) -> dict[str, str]:
    """f32 and f64 texts: `@BIG` 2^23 or 2^52, `@TOP` the sign bit, `@INF` infinity's bits."""
    texts = {}
    for kind in ("f32", "f64"):
        marks = (("@BIG", _BIG), ("@TOP", _TOP), ("@INF", _INF), ("@REST", _REST))
        text = template
        for mark, values in marks:
            text = text.replace(mark, values[kind])
        texts[kind] = text
    return texts


# PoCL's builtins are calls that spill every register; those of its compiler are instructions
_OWN = """
$F {name}_$N($F x) {{
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined({feature})
  return {own};
#else
{body}
#endif
}}"""


_HALVES = "($F)(sqrt_$H(x.lo), sqrt_$H(x.hi))"


def _sqrt(own: str, feature: str = "POCL_DEVICE_ADDRESS_BITS", other: str = "sqrt(x)") -> str:
    return _OWN.format(name="sqrt", feature=feature, own=own, body=f"  return {other};")


def _rounding(name: str, own: str, body: str) -> dict[str, str]:
    own = f"__builtin_elementwise_{own}(x)"
    body = body.strip("\n")
    return _both(_OWN.format(name=name, feature="__SSE4_1__", own=own, body=body))


def _extremum(name: str, sign: str) -> dict[str, str]:
    """NaN if either is. The processor's instruction gives `a` where one is, so `b` alone is asked:
    a fold's new element, not what the next one waits for. Its answer is all ones, a NaN too: chosen
    by a second question, LLVM makes one of both, and no instruction that has an answer to that.
    """
    head = f"$F {name}_$N($F a, $F b) {{ $F y = b {sign} a ? b : a; return"
    one = f"{head} b != b ? b : y; }}"
    return {"float": f"{head} $asF($asI(y) | (b != b)); }}", "floatx1": one}


_STREAM = """
void stream_$N(__global $E *p, $F x) {
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX__)
  if (((ulong)p & (sizeof($F) - 1)) == 0) {
    __builtin_nontemporal_store(x, (__global $F *)p);
    return;
  }
#endif
  *(__global $F_u *)p = x;
}"""

TEMPLATES: dict[str, dict[str, str]] = {
    "abs": _both("$F abs_$N($F x) { return $asF($asI(x) & @REST); }"),
    "copysign": _both("""
$F copysign_$N($F x, $F y) { return $asF(($asU(x) & ~@TOP) | ($asU(y) & @TOP)); }"""),
    # NaN if either is, as np.maximum
    "max": _extremum("max", ">"),
    "min": _extremum("min", "<"),
    "sign": {
        "float": """
$F sign_$N($F x) { return x > $c{0.0} ? $v{1.0} : (x < $c{0.0} ? $v{-1.0} : x); }""",
    },
    "is_finite": _both("$M is_finite_$N($F x) { return ($asI(x) & @INF) != @INF; }"),
    "is_nan": {"float": "$M is_nan_$N($F x) { return x != x; }"},
    "rint": _rounding(
        "rint",
        "roundeven",
        """
  $F size = abs_$N(x);
  $F whole = (size + @BIG) - @BIG;
  return size < @BIG ? copysign_$N(whole, x) : x;
""",
    ),
    "trunc": _rounding(
        "trunc",
        "trunc",
        """
  $F size = abs_$N(x);
  $F whole = (size + @BIG) - @BIG;
  whole = whole > size ? whole - $c{1.0} : whole;
  return size < @BIG ? copysign_$N(whole, x) : x;
""",
    ),
    "floor": _rounding(
        "floor",
        "floor",
        """
  $F whole = rint_$N(x);
  return whole > x ? whole - $c{1.0} : whole;
""",
    ),
    "ceil": _rounding(
        "ceil",
        "ceil",
        """
  $F whole = rint_$N(x);
  return copysign_$N(whole < x ? whole + $c{1.0} : whole, x);
""",
    ),
    # half away from zero
    "round": _both("""
$F round_$N($F x) {
  $F whole = trunc_$N(x);
  $F step = copysign_$N($v{1.0}, x);
  return abs_$N(x - whole) >= $c{0.5} ? whole + step : whole;
}"""),
    "nextafter": _both("""
$F nextafter_$N($F x, $F y) {
  $I bits = $asI(x);
  $I tiny = ($asI(y) & ($I)(@TOP)) | ($I)(1);
  $M away = (y > x) == (x > $c{0.0});
  $I next = x == $c{0.0} ? tiny : bits + (away ? ($I)(1) : ($I)(-1));
  $F moved = x == y ? y : $asF(next);
  return ((x != x) | (y != y)) ? x + y : moved;
}"""),
    "sqrt": {
        "f32x1": _sqrt("__builtin_sqrtf(x)"),
        "f64x1": _sqrt("__builtin_sqrt(x)"),
        "f32x8": _sqrt("__builtin_ia32_sqrtps256(x)", "__AVX__"),
        "f64x4": _sqrt("__builtin_ia32_sqrtpd256(x)", "__AVX__"),
        "f32x16": _sqrt("__builtin_ia32_sqrtps512(x, 4)", "__AVX512F__", _HALVES),
        "f64x8": _sqrt("__builtin_ia32_sqrtpd512(x, 4)", "__AVX512F__", _HALVES),
        "float": _sqrt(_HALVES),
    },
    # past the caches, where the address allows it: such a store faults on others
    "stream": {"float": _STREAM, "int": _STREAM},
    "rsqrt": {"float": "$F rsqrt_$N($F x) { return $c{1.0} / sqrt_$N(x); }"},
    # bit by bit, for any quotient of what is not negative: the largest y 2^k that is not above x is
    # subtracted, which is exact. PoCL's fmod would ask for all of PoCL's library (lean.py)
    "rem_bits": {
        "float": """
$F rem_bits_$N($F a, $F b) {
  $M none = !((a < ($F)(INFINITY)) & (b > $c{0.0}));
  $F rest = none ? $v{0.0} : a, least = none ? $v{1.0} : b, y = least;
  for ($M less = rest * $c{0x1p-16} >= y; any_$NI(less); less = rest * $c{0x1p-16} >= y)
    y = less ? y * $c{65536.0} : y;
  for ($M less = rest * $c{0.5} >= y; any_$NI(less); less = rest * $c{0.5} >= y)
    y = less ? y + y : y;
  for ($M more = y > least; any_$NI(more); more = y > least) {
    rest = rest >= y ? rest - y : rest;
    y = more ? y * $c{0.5} : y;
  }
  rest = rest >= y ? rest - y : rest;
  return none ? ($F)(NAN) : rest;
}""",
    },
    # x - whole y in one rounding is exact, the quotient's rounding moves `whole` by one at most
    "rem": _both("""
$F rem_$N($F x, $F y) {
  $F a = abs_$N(x), b = abs_$N(y);
#if defined(POCL_DEVICE_ADDRESS_BITS) && !defined(__FMA__)
  $F rest = rem_bits_$N(a, b);
#else
  $F quotient = a / b, whole = trunc_$N(quotient);
#ifdef POCL_DEVICE_ADDRESS_BITS
  $F rest = mad_$N(-whole, b, a);
#else
  $F rest = fma(-whole, b, a);
#endif
  rest = rest < $c{0.0} ? rest + b : rest;
  rest = rest >= b ? rest - b : rest;
  rest = a < b ? a : rest;
  $M many = !((quotient < $c{4e6}) | (a < b));
  if (any_$NI(many)) rest = many ? rem_bits_$N(a, b) : rest;
#endif
  return $asF($asI(rest) | ($asI(x) & ($I)(@TOP)));
}"""),
    # in one rounding where the device has it, also in kernels that switch contraction off: nothing
    # computes it twice
    "mad": {"float": "$F mad_$N($F a, $F b, $F c) { return a * b + c; }"},
}


def _limits(kind: str) -> tuple[int, int]:
    bits = int(kind[1:])
    return (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _clamped(kind: str) -> str:
    """Float to integer `kind` whose ends the float type has exactly: clamp, then convert."""
    low, high = _limits(kind)
    return f"""
${kind} to_{kind}_$N($F x) {{
  x = x == x ? x : $v{{0.0}};
  x = x > $c{{{high}.0}} ? $v{{{high}.0}} : x;
  return $to{kind}(x < $c{{{low}.0}} ? $v{{{low}.0}} : x);
}}"""


def _saturated(kind: str, mask: str = "") -> str:
    """Float to integer `kind` whose upper end rounds up in the float type: convert, then mend."""
    low, high = _limits(kind)
    suffix = {"i32": "", "u32": "u", "i64": "L", "u64": "UL"}[kind]
    least = f"(-{-low - 1}{suffix} - 1)" if low else "0"
    return f"""
${kind} to_{kind}_$N($F x) {{
  $M many = x >= $c{{{float(high)!r}}};
  $M few = x <= $c{{{float(low)!r}}};
  ${kind} whole = $to{kind}(((many | few) | (x != x)) ? $v{{0.0}} : x);
  whole = {mask}(few) ? (${kind})({least}) : whole;
  return {mask}(many) ? (${kind})({high}{suffix}) : whole;
}}"""


for _kind in ("i8", "u8", "i16", "u16"):
    TEMPLATES[f"to_{_kind}"] = {"float": _clamped(_kind)}
for _kind in ("i32", "u32"):
    TEMPLATES[f"to_{_kind}"] = {"f32": _saturated(_kind), "f64": _clamped(_kind)}
for _kind in ("i64", "u64"):
    TEMPLATES[f"to_{_kind}"] = {"f32": _saturated(_kind, "$toi64"), "f64": _saturated(_kind)}

# 16-bit floats: memory (u16) <-> registers (f32), to nearest even; NaN stays NaN. PoCL's compiler
# has no instruction for float16, the processor has.
_FROM_F16 = """
  $u32 bits = $tou32(x), size = (bits & 0x7fffu) << 13;
  $u32 normal = size + 0x38000000u, special = size | 0x7f800000u;
  $u32 small = $asu32($asf32(size + 0x38800000u) - $asf32(($u32)(0x38800000u)));
  $u32 value = size < 0x00800000u ? small : normal;
  value = size >= 0x0f800000u ? special : value;
  return $asf32(value | ((bits & 0x8000u) << 16));"""
_TO_F16 = """
  $U bits = $asU(x), size = bits & 0x7fffffffu;
  $U normal = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;
  $U small = $asU($asF(size) + 0.5f) - 0x3f000000u;
  $U special = size > 0x7f800000u ? ($U)(0x7e00u) : ($U)(0x7c00u);
  $U value = size < 0x38800000u ? small : normal;
  value = size >= 0x47800000u ? special : value;
  return $tou16(value | ((bits >> 16) & 0x8000u));"""


def _f16(name: str, kind: str, result: str, own: dict[int, str], plain: str) -> dict[str, str]:
    """A conversion for every width; `own`: by width, with the processor's instruction."""
    head = f"{result} {name}_$N($F x) {{"
    texts = {kind: f"\n{head}{plain}\n}}"}
    for width, text in own.items():
        feature = "__AVX512F__" if width == 16 else "__F16C__"
        texts[f"{kind}x{width}"] = f"""
{head}
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined({feature}){text}
#else{plain}
#endif
}}"""
    return texts


TEMPLATES |= {
    "from_bf16": {"u16": "$f32 from_bf16_$N($F x) { return $asf32($tou32(x) << 16); }"},
    "to_bf16": {
        "f32": """
$u16 to_bf16_$N($F x) {
  $U bits = $asU(x);
  $U even = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  $U nan = (bits >> 16) | 0x40u;
  return $tou16(x == x ? even : nan);
}""",
    },
    "from_f16": _f16(
        "from_f16",
        "u16",
        "$f32",
        {
            1: """
  float wide;
  __asm__("vmovd %1, %0; vcvtph2ps %0, %0" : "=x"(wide) : "r"((uint)x));
  return wide;""",
            8: """
  $f32 wide;
  __asm__("vcvtph2ps %1, %0" : "=x"(wide) : "x"(x));
  return wide;""",
            16: """
  return __builtin_ia32_vcvtph2ps512_mask(as_short16(x), ($f32)(0.0f), 0xffff, 4);""",
        },
        _FROM_F16,
    ),
    "to_f16": _f16(
        "to_f16",
        "f32",
        "$u16",
        {
            1: """
  uint narrow;
  float rounded;
  __asm__("vcvtps2ph %3, %2, %1; vmovd %1, %0" : "=r"(narrow), "=x"(rounded) : "x"(x), "i"(0));
  return (ushort)narrow;""",
            8: """
  $u16 narrow;
  __asm__("vcvtps2ph %2, %1, %0" : "=x"(narrow) : "x"(x), "i"(0));
  return narrow;""",
            16: """
  return as_ushort16(__builtin_ia32_vcvtps2ph512_mask(x, 0, (short16)(0), 0xffff));""",
        },
        _TO_F16,
    ),
    "round_f16": {"f32": "$F round_f16_$N($F x) { return from_f16_u16x$W(to_f16_$N(x)); }"},
    "round_bf16": {"f32": "$F round_bf16_$N($F x) { return from_bf16_u16x$W(to_bf16_$N(x)); }"},
}


TEMPLATES["clip4"] = {  # into integers of four bits
    "i8": """
$F clip4_$N($F x) {
  $F low = x < ($F)((char)-8) ? ($F)((char)-8) : x;
  return low > ($F)((char)7) ? ($F)((char)7) : low;
}""",
    "u8": "$F clip4_$N($F x) { return x > ($F)((uchar)15) ? ($F)((uchar)15) : x; }",
}


def _small_floats(kind: str, mantissa: int, bias: int, top: int, beyond: str, nan: int) -> None:
    """Floats of 8 bits as those of 16: `top` is the largest finite one, `beyond` what is above."""
    shift = 23 - mantissa
    least = 128 - bias << 23  # the smallest normal number; below it, sums round to its unit
    rounder = 151 - bias - mantissa << 23
    special = f"size > {top << shift:#x}u ? size | 0x7f800000u"
    if beyond == "nan":
        special = f"size > {top << shift:#x}u ? ($u32)(0x7fc00000u)"
    TEMPLATES[f"from_{kind}"] = {
        "u8": f"""
$f32 from_{kind}_$N($F x) {{
  $u32 bits = $tou32(x), size = (bits & 0x7fu) << {shift};
  $u32 small = $asu32($asf32(size + {least:#x}u) - $asf32(($u32)({least:#x}u)));
  $u32 value = size < 0x00800000u ? small : size + {least - (1 << 23):#x}u;
  value = {special} : value;
  return $asf32(value | ((bits & 0x80u) << 24));
}}"""
    }
    TEMPLATES[f"to_{kind}"] = {
        "f32": f"""
$u8 to_{kind}_$N($F x) {{
  $U bits = $asU(x), size = bits & 0x7fffffffu;
  $U odd = (size >> {shift}) & 1u;
  $U normal = (size - {least - (1 << 23):#x}u + {(1 << shift - 1) - 1:#x}u + odd) >> {shift};
  $U small = $asU($asF(size) + $asF(($U)({rounder:#x}u))) - {rounder:#x}u;
  $U special = size > 0x7f800000u ? ($U)({nan:#x}u) : ($U)({top + 1:#x}u);
  $U value = size < {least:#x}u ? small : normal;
  value = (size >= {least:#x}u) & (normal > {top:#x}u) ? special : value;
  return $tou8(value | ((bits >> 24) & 0x80u));
}}"""
    }
    text = f"$F round_{kind}_$N($F x) {{ return from_{kind}_u8x$W(to_{kind}_$N(x)); }}"
    TEMPLATES[f"round_{kind}"] = {"f32": text}


_small_floats("e4m3", mantissa=3, bias=7, top=0x7E, beyond="nan", nan=0x7F)
_small_floats("e5m2", mantissa=2, bias=15, top=0x7B, beyond="infinity", nan=0x7E)


def _nextafter_narrow(kind: str) -> str:
    return f"""
$F nextafter_$N($F x, $F y) {{
  $i32 bits = $toi32(to_{kind}_f32x$W(x)), size = bits & 0x7fff, sign = bits & 0x8000;
  $i32 towards = ($toi32(to_{kind}_f32x$W(y)) & 0x8000) | 1;
  $i32 grows = (y > x) == (x > 0.0f);
  $i32 next = sign | (size + (grows ? ($i32)(1) : ($i32)(-1)));
  next = size == 0 ? towards : next;
  $F moved = x == y ? y : from_{kind}_u16x$W($tou16(next));
  return ((x != x) | (y != y)) ? x + y : moved;
}}"""


TEMPLATES["nextafter"] |= {k: _nextafter_narrow(k) for k in ("f16", "bf16")}

BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("floor", "ceil", "trunc", "rint", "round", "nextafter"), (0, 0)),
    "sqrt": (0.5, 0.5),
    "rsqrt": (1.5, 1.5),
    "rem": (0, 0),
}
