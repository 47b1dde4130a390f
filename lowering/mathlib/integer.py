"""Integer functions with XLA's meaning (no trap, no undefined shift), lane folds, and threefry.

Arithmetic that may overflow is done on the unsigned type: in C signed overflow is undefined.
"""

_KINDS = [f"{sign}{bits}" for sign in "iu" for bits in (8, 16, 32, 64)]


def _by_sign(signed: str, unsigned: str) -> dict[str, str]:
    texts = {"i": signed, "u": unsigned}
    return {k: texts[k[0]].replace("@BITS", k[1:]).replace("@TOP", _top(k)) for k in _KINDS}


def _top(kind: str) -> str:
    return str(int(kind[1:]) - 1)


def _same(template: str) -> dict[str, str]:
    return _by_sign(template, template)


def _popcount(kind: str) -> str:
    """Sums of bits in pairs, nibbles, bytes; a product adds the bytes."""
    bits = int(kind[1:])
    suffix = "UL" if bits == 64 else "u"
    fives, threes, ones, bytes_ = (f"0x{d * (bits // 8)}{suffix}" for d in ("55", "33", "0f", "01"))
    total = "u" if bits == 8 else f"($U)(u * ($U)({bytes_})) >> {bits - 8}"
    return f"""
$F popcount_$N($F x) {{
  $U u = $asU(x);
  u = u - ((u >> 1) & ($U)({fives}));
  u = (u & ($U)({threes})) + ((u >> 2) & ($U)({threes}));
  u = (u + (u >> 4)) & ($U)({ones});
  return $asF(($U)({total}));
}}"""


def _clz(kind: str) -> str:
    bits = int(kind[1:])
    smears = "\n".join(f"  u |= u >> {s};" for s in (1, 2, 4, 8, 16, 32) if s < bits)
    return f"""
$F clz_$N($F x) {{
  $U u = $asU(x);
{smears}
  return ($F)({bits}) - popcount_$N($asF(u));
}}"""


def _any(cast: str, suffix: str) -> str:
    """One instruction that gathers the signs of all lanes, where PoCL's compiler has it."""
    return f"""
int any_$N($F m) {{
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(__AVX__)
  return __builtin_ia32_movmsk{suffix}256({cast}(m)) != 0;
#else
  return any_$H(m.lo | m.hi);
#endif
}}"""


def _division(name: str, signed: str, unsigned: str, end: str) -> dict[str, str]:
    """One lane divides as the device does; lanes of up to 32 bits as floats, since no processor has
    an instruction for integers. What a divisor's inverse is too large by is more than it is rounded
    by, so that no whole quotient is missed, and less than what any other lacks to the next, which
    is one part in the dividend.
    """
    texts = _by_sign(signed, unsigned)
    texts |= {f"{kind}x1": texts[kind] for kind in _KINDS}
    for kind in ("i8", "i16", "i32", "u8", "u16", "u32"):
        minus = ", minus = b == ($F)(-1)" if kind[0] == "i" else ""
        texts[kind] = f"""
$F {name}_$N($F a, $F b) {{
  $M zero = b == ($F)(0){minus};
  $F by = ({"zero | minus" if minus else "zero"}) ? ($F)(1) : b;
{_QUOTIENT_32 if kind[1:] == "32" else _QUOTIENT_16}
{end if minus else end.replace(_LEAST, "")}
}}"""
    return texts


_QUOTIENT_16 = f"""
  $f32 inverse = ($f32)({1 + 2.0**-20!r}f) / $tof32(by);
  $F quotient = $toF($tof32(a) * inverse);"""
_QUOTIENT_32 = f"""
#if defined(POCL_DEVICE_ADDRESS_BITS) && defined(cl_khr_fp64)
  $f64 near = $tof64(($f32)(1.0f) / $tof32(by));
  $f64 inverse = near * (($f64)({2 + 2.0**-40!r}) - near * $tof64(by));
  $F quotient = $toF($tof64(a) * inverse);
#else
  $F quotient = a / by;
#endif"""
_LEAST = "  quotient = minus ? $asF(($U)(($U)(0) - $asU(a))) : quotient;\n"

TEMPLATES: dict[str, dict[str, str]] = {
    # division toward zero; by 0 gives all ones, the least by -1 itself
    "div": _division(
        "div",
        """
$F div_$N($F a, $F b) {
  $M zero = b == ($F)(0), minus = b == ($F)(-1);
  $F quotient = a / ((zero | minus) ? ($F)(1) : b);
  quotient = minus ? $asF(($U)(($U)(0) - $asU(a))) : quotient;
  return zero ? ($F)(-1) : quotient;
}""",
        """
$F div_$N($F a, $F b) {
  $M zero = b == ($F)(0);
  $F quotient = a / (zero ? ($F)(1) : b);
  return zero ? ($F)(-1) : quotient;
}""",
        _LEAST + "  return zero ? ($F)(-1) : quotient;",
    ),
    # remainder with the dividend's sign; by 0 the dividend
    "rem": _division(
        "rem",
        """
$F rem_$N($F a, $F b) {
  $M zero = b == ($F)(0), minus = b == ($F)(-1);
  $F rest = a % ((zero | minus) ? ($F)(1) : b);
  return zero ? a : rest;
}""",
        """
$F rem_$N($F a, $F b) {
  $M zero = b == ($F)(0);
  $F rest = a % (zero ? ($F)(1) : b);
  return zero ? a : rest;
}""",
        "  return zero ? a : $asF(($U)($asU(a) - $asU(quotient) * $asU(by)));",
    ),
    "abs": _by_sign(
        "$F abs_$N($F x) { return x < ($F)(0) ? $asF(($U)(($U)(0) - $asU(x))) : x; }",
        "$F abs_$N($F x) { return x; }",
    ),
    "sign": _by_sign(
        "$F sign_$N($F x) { return x > ($F)(0) ? ($F)(1) : x < ($F)(0) ? ($F)(-1) : ($F)(0); }",
        "$F sign_$N($F x) { return x > ($F)(0) ? ($F)(1) : ($F)(0); }",
    ),
    "max": _same("$F max_$N($F a, $F b) { return a > b ? a : b; }"),
    "min": _same("$F min_$N($F a, $F b) { return a < b ? a : b; }"),
    # shifts by the width or more (or by a negative amount) shift everything out
    "shl": _same("""
$F shl_$N($F x, $F n) {
  $M many = $asU(n) >= ($U)(@BITS);
  return many ? ($F)(0) : $asF(($U)($asU(x) << ($asU(n) & ($U)(@TOP))));
}"""),
    "shrl": _same("""
$F shrl_$N($F x, $F n) {
  $M many = $asU(n) >= ($U)(@BITS);
  return many ? ($F)(0) : $asF(($U)($asU(x) >> ($asU(n) & ($U)(@TOP))));
}"""),
    "shr": _by_sign(
        """
$F shr_$N($F x, $F n) {
  $M many = $asU(n) >= ($U)(@BITS);
  return x >> (many ? ($F)(@TOP) : n);
}""",
        "$F shr_$N($F x, $F n) { return shrl_$N(x, n); }",
    ),
    "mad": {
        "int": "$F mad_$N($F a, $F b, $F c) { return $asF(($U)($asU(a) * $asU(b) + $asU(c))); }",
        # C computes products of single shorts as int, where they overflow
        "u16x1": "$F mad_$N($F a, $F b, $F c) { return ($F)((uint)a * (uint)b + (uint)c); }",
        "i16x1": "$F mad_$N($F a, $F b, $F c) { return ($F)((uint)a * (uint)b + (uint)c); }",
    },
    "popcount": {k: _popcount(k) for k in _KINDS},
    "clz": {k: _clz(k) for k in _KINDS},
    "mulhi": {"u32": "$F mulhi_$N($F a, $F b) { return $tou32(($tou64(a) * $tou64(b)) >> 32); }"},
    # of a mask: 0 or 1
    "any": {
        "int": "int any_$N($F m) { return any_$H(m.lo | m.hi); }",
        "intx1": "int any_$N($F m) { return m != 0; }",
        "i32x8": _any("as_float8", "ps"),
        "i64x4": _any("as_double4", "pd"),
    },
    "all": {
        "int": "int all_$N($F m) { return all_$H(m.lo & m.hi); }",
        "intx1": "int all_$N($F m) { return m != 0; }",
    },
}


def _fold(name: str, combine: str) -> dict[str, str]:
    """All lanes of a register into one, halving: the order depends on the width alone."""
    wide = f"$E fold_{name}_$N($F x) {{ return fold_{name}_$H({combine}); }}"
    one = f"$E fold_{name}_$N($F x) {{ return x; }}"
    return {"int": wide, "intx1": one, "float": wide, "floatx1": one}


for _name, _sign in (("add", "+"), ("mul", "*"), ("and", "&"), ("or", "|"), ("xor", "^")):
    TEMPLATES[f"fold_{_name}"] = _fold(_name, f"x.lo {_sign} x.hi")
for _name in ("max", "min"):
    TEMPLATES[f"fold_{_name}"] = _fold(_name, f"{_name}_$H(x.lo, x.hi)")


def _threefry() -> str:
    """Threefry 2x32, 20 rounds (Salmon et al., SC11): returns the first word, *second the other."""
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    lines = [
        "$F threefry2x32_$N($F k0, $F k1, $F c0, $F c1, $F *second) {",
        "  $F k2 = k0 ^ k1 ^ 0x1bd11bdau;",
        "  $F x0 = c0 + k0, x1 = c1 + k1;",
    ]
    keys = ("k0", "k1", "k2")
    for group in range(5):
        for r in rotations[group % 2]:
            lines.append(f"  x0 += x1; x1 = (x1 << {r}) | (x1 >> {32 - r}); x1 ^= x0;")
        a, b = keys[(group + 1) % 3], keys[(group + 2) % 3]
        lines.append(f"  x0 += {a}; x1 += {b} + {group + 1}u;")
    return "\n".join([*lines, "  *second = x1;", "  return x0;", "}"])


TEMPLATES["threefry2x32"] = {"u32": _threefry()}
BOUNDS: dict[str, tuple[float, float]] = {}
