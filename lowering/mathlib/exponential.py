"""Exponentials, logarithms, powers, hyperbolic functions, cube root.

exp: x = n ln2 + r, where adding and subtracting 1.5 * 2^23 (2^52) rounds to n and leaves n in the
low bits; 2^n is put together from bits in two factors, so overflow and subnormal results round
once. Arguments are bounded where the bits of one factor are those of 0: a product that is too small
to be a normal number takes Intel's processors 100 cycles, one by 0 none (cheaper-functions.md).
log: x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)). pow keeps log2 in two pieces.
"""

from lowering.mathlib.polynomial import by_kind

_F32 = {
    "MAGIC": "12582912.0f",
    "MBITS": "0x4b400000",
    "BIAS": "127",
    "SHIFT": "23",
    "LN2HI": "0.693145752f",
    "LN2LO": "1.42860677e-06f",
    "LOG2E": "1.44269504f",
    "LOG10E": "0.434294482f",
    "LOG10HI": "0.301025391f",
    "LOG10LO": "4.60503907e-06f",
    "NORMAL": "1.17549435e-38f",  # the least normal number
    "UP": "16777216.0f",
    "UPBITS": "24.0f",
    "DOWNCBRT": "0.00390625f",
    "SQRTHALF": "0x3f3504f3",  # bits of sqrt(1/2)
    "RARE": "(int)0xff000000",  # (bits of x plus those of infinity) is below for positive normal x
    "KEEP": "0xfffff000u",  # the upper half of a significand: products of two are exact
    "CPHI": "0.96191406f",  # 2 / (3 ln 2) in pieces
    "CPLO": "-0.00011736857f",
    "CP": "0.9617967f",
    "q": (0.49999994, 0.16666523, 0.041668467, 0.008368983, 0.0013805102),
    "m": (0.5, 0.16666791, 0.04166655, 0.00831238, 0.0013930107, 0.00027148856),
    "p": (0.6931472, 0.2402259, 0.055503562, 0.009624168, 0.0013394619, 0.00014104733),
    "l": (0.33333313, -0.25000176, 0.20002232, -0.16658911, 0.1420913, -0.12551543, 0.121129885)
    + (-0.10944789, 0.053884264),
    "w": (0.40000156, 0.28546748, 0.23428549),
    "s": (0.16666715, 0.008330309, 0.00020371196),
    # tanh(x) / x is their quotient in x^2, |x| <= 9.01; x times it is above 1 at 10 by more than
    # it is wrong, so that clipped it is exactly 1 from there on
    "u": (1.0972327, 0.14681391, 0.0038346308, 2.2599028e-05, 1.463363e-08),
    "v": (1.0972327, 0.512558, 0.02838987, 0.0003603725, 8.5247586e-07),
}
_F64 = {
    "MAGIC": "6755399441055744.0",
    "MBITS": "0x4338000000000000L",
    "BIAS": "1023",
    "SHIFT": "52",
    "LN2HI": "0.6931471803691238",
    "LN2LO": "1.9082149292705877e-10",
    "LOG2E": "1.4426950408889634",
    "LOG10E": "0.4342944819032518",
    "LOG10HI": "0.30102999566361177",
    "LOG10LO": "3.694239077158931e-13",
    "NORMAL": "2.2250738585072014e-308",
    "UP": "18014398509481984.0",
    "UPBITS": "54.0",
    "DOWNCBRT": "3.814697265625e-06",
    "SQRTHALF": "0x3fe6a09e667f3bcdL",
    "RARE": "(long)0xffe0000000000000L",
    "KEEP": "0xfffffffff8000000UL",
    "CPHI": "0.9617967009544373",
    "CPLO": "-7.0284616509527583e-09",
    "CP": "0.9617966939259756",
    "q": (0.5, 0.16666666666666682, 0.0416666666666668, 0.008333333333316319)
    + (0.001388888888877517, 0.0001984126990382231, 2.480158759495843e-05, 2.7557220563137525e-06)
    + (2.755692877949255e-07, 2.5119232329460135e-08, 2.1074835148063093e-09),
    "m": (0.5, 0.16666666666666677, 0.04166666666666669, 0.008333333333321567)
    + (0.0013888888888830607, 0.0001984126988760165, 2.4801587611741243e-05, 2.7557241421980433e-06)
    + (2.755686297914657e-07, 2.511037330811385e-08, 2.1087004018444028e-09),
    "p": (0.6931471805599453, 0.2402265069590999, 0.05550410866482383, 0.009618129107675745)
    + (0.0013333558145889905, 0.00015403530306280956, 1.5252734218385885e-05)
    + (1.3215553575528217e-06, 1.0177986229798052e-07, 7.032832269125627e-09)
    + (4.451632643828468e-10, 5.151307930489567e-11),
    "l": (0.666666666666674, 0.39999999999376723, 0.2857142875157985, 0.22222197558439716)
    + (0.18183620538872092, 0.15312528644399886, 0.14811967291629763),
    "w": (0.3999999999999998, 0.28571428571444396, 0.22222222217565987, 0.1818181907151946)
    + (0.1538452074624076, 0.13338700962103356, 0.1160614004194972, 0.12719305940813413),
    "s": (0.16666666666666669, 0.008333333333332889, 0.00019841269841617098)
    + (2.7557319097787305e-06, 2.5052132569997e-08, 1.6056529599451612e-10)
    + (7.780672350278947e-13,),
}


def _both(template: str, f32: dict | None = None, f64: dict | None = None) -> dict[str, str]:
    """The template for both kinds, with the shared marks and its own."""
    return by_kind(template, {"f32": _F32 | (f32 or {}), "f64": _F64 | (f64 or {})})


_HALLEY = """  t = $c{0.25} * y * y * y;
  y = y - y * ((t - $c{0.25} * a) / (t + t + $c{0.25} * a));"""


def _exponential(name: str, lower: int) -> dict[str, str]:
    """exp(x) / 2^lower; @q is (exp(r) - 1 - r) / r^2 on |r| <= ln2 / 2."""
    return _both(
        f"""
$F {name}_$N($F x) {{
  $F bounded = x > @MOST ? ($F)(@MOST) : x;
  bounded = bounded < @LEAST ? ($F)(@LEAST) : bounded;
  $F shifted = bounded * @LOG2E + @MAGIC;
  $F n = shifted - @MAGIC;
  $F r = bounded - n * @LN2HI;
  r = r - n * @LN2LO;
  $F y = ((r * r) * @q(r) + r) + $c{{1.0}};
  return scaled_$N(y, shifted, $c{{{0.5**lower}}});
}}""",
        {"MOST": "90.0f", "LEAST": "-106.0f"},
        {"MOST": "711.0", "LEAST": "-748.0"},
    )


# of what is not above zero: 2^(n + UP) is a float, and the factor 2^-UP rounds once
_EXP_DOWN = _both(
    """
$F exp_down_$N($F x) {
  $F bounded = x < @LEAST ? ($F)(@LEAST) : x;
  $F shifted = bounded * @LOG2E + @MAGICUP;
  $F n = shifted - @MAGICUP;
  $F r = bounded - n * @LN2HI;
  r = r - n * @LN2LO;
  $F y = ((r * r) * @q(r) + r) + $c{1.0};
  return y * $asF(($asU(shifted) << @SHIFT) + $asU($v{1.0})) * @DOWN;
}""",
    {"LEAST": "-104.5f", "MAGICUP": "12582936.0f", "DOWN": "5.9604644775390625e-08f"},
    {"LEAST": "-746.5", "MAGICUP": "6755399441055798.0", "DOWN": "5.5511151231257827e-17"},
)

TEMPLATES: dict[str, dict[str, str]] = {
    # y c 2^k, y about 1, k in the low bits of `shifted`: half of k in one factor, where it always
    # has room, the rest in another; shifted left, the bits of @MAGIC are gone. The first factor is
    # @DOWN less, and 0 for the k of the least arguments. A NaN is in y, and times any factor it is
    # one (added to its bits, those of its own payload make it a number)
    "scaled": _both(
        """
$F scaled_$N($F y, $F shifted, $F c) {
  $U half_k = $asU($asI(shifted) >> 1) << @SHIFT;
  $U rest = ($asU(shifted) << @SHIFT) - half_k;
  return y * $asF(half_k + $asU(($F)(@DOWN))) * $asF(rest + $asU(c * @UP));
}""",
        {"DOWN": "0x1p-50f", "UP": "0x1p50f"},
        {"DOWN": "0x1p-483", "UP": "0x1p483"},
    ),
    "exp": _exponential("exp", 0),
    "exp_down": _EXP_DOWN,
    "half_exp": _exponential("half_exp", 1),
    # @p is (2^r - 1) / r on |r| <= 1/2
    "exp2": _both(
        """
$F exp2_$N($F x) {
  $F bounded = x > @MOST ? ($F)(@MOST) : x;
  bounded = bounded < @LEAST ? ($F)(@LEAST) : bounded;
  $F shifted = bounded + @MAGIC;
  $F r = bounded - (shifted - @MAGIC);
  $F y = r * @p(r) + $c{1.0};
  return scaled_$N(y, shifted, $c{1.0});
}""",
        {"MOST": "129.0f", "LEAST": "-153.0f"},
        {"MOST": "1025.0", "LEAST": "-1079.0"},
    ),
    # 2 (h (exp(r) - 1) + h - 1/2) with h = 2^(n-1), which never overflows; @m is like @q
    "expm1": _both(
        """
$F expm1_$N($F x) {
  $F bounded = x > @MOST ? ($F)(@MOST) : x;
  bounded = bounded < @LEAST ? ($F)(@LEAST) : bounded;
  $F shifted = bounded * @LOG2E + @MAGIC;
  $F n = shifted - @MAGIC;
  $F r = bounded - n * @LN2HI;
  r = r - n * @LN2LO;
  $F y = (r * r) * @m(r) + r;
  $F h = $asF(($asU(shifted) << @SHIFT) + $asU($v{0.5}));
  y = h * y + (h - $c{0.5});
  return abs_$N(x) < @TINY ? x : y + y;
}""",
        {"MOST": "89.0f", "LEAST": "-18.0f", "TINY": "1e-08f"},
        {"MOST": "710.0", "LEAST": "-38.0", "TINY": "1e-17"},
    ),
    # a lane is zero, negative, subnormal, infinite or NaN: rare, and dear to treat in every lane
    "log_rare": _both("""
int log_rare_$N($F x) { return any_$NI($asI($asU(x) + $asU(($F)(INFINITY))) >= @RARE); }"""),
    # x = 2^k (1 + f): returns k
    "log_split": _both("""
$F log_split_$N($F x, $F *f) {
  $F down = $v{0.0};
  if (log_rare_$N(x)) {
    $M small = x < @NORMAL;
    down = small ? ($F)(@UPBITS) : down;
    x = small ? x * @UP : x;
  }
  $I k = ($asI(x) - @SQRTHALF) >> @SHIFT;
  *f = $asF($asI(x) - (k << @SHIFT)) - $c{1.0};
  return ($asF(k + @MBITS) - @MAGIC) - down;
}"""),
    # log(1 + f) - f; float: f^3 @l(f) - f^2/2; double: with s = f / (2 + f), z = s^2,
    # s (f^2/2 + z @l(z)) - f^2/2
    "log_tail": {
        "f32": _both("""
$F log_tail_$N($F f) {
  $F square = f * f;
  return f * square * @l(f) - $c{0.5} * square;
}""")["f32"],
        "f64": _both("""
$F log_tail_$N($F f) {
  $F s = f / ($c{2.0} + f), h = $c{0.5} * f * f;
  $F z = s * s;
  return s * (h + z * @l(z)) - h;
}""")["f64"],
    },
    # y where log is finite, and the values of log elsewhere
    "log_mend": {
        "float": """
$F log_mend_$N($F x, $F y) {
  if (!log_rare_$N(x)) return y;
  y = x > $c{0.0} ? y : (x == $c{0.0} ? -($F)(INFINITY) : ($F)(NAN));
  return x == ($F)(INFINITY) ? x : y;
}""",
    },
    "log": _both("""
$F log_$N($F x) {
  $F f;
  $F k = log_split_$N(x, &f);
  $F y = k * @LN2LO + log_tail_$N(f);
  y = (y + f) + k * @LN2HI;
  return log_mend_$N(x, y);
}"""),
    "log2": _both("""
$F log2_$N($F x) {
  $F f;
  $F k = log_split_$N(x, &f);
  $F y = (log_tail_$N(f) * @LOG2E + f * @LOG2E) + k;
  return log_mend_$N(x, y);
}"""),
    "log10": _both("""
$F log10_$N($F x) {
  $F f;
  $F k = log_split_$N(x, &f);
  $F y = k * @LOG10LO + (log_tail_$N(f) + f) * @LOG10E;
  return log_mend_$N(x, y + k * @LOG10HI);
}"""),
    # log(u) + c / u, where u is 1 + x rounded and c what the rounding lost
    "log1p": _both(
        """
$F log1p_$N($F x) {
  $F u = $c{1.0} + x;
  $F lost = x >= $c{1.0} ? $c{1.0} - (u - x) : x - (u - $c{1.0});
  $F y = log_$N(u) + (((x < $c{1e18}) & (u > $c{0.0})) ? lost / u : $v{0.0});
  return abs_$N(x) < @TINY ? x : y;
}""",
        {"TINY": "1e-08f"},
        {"TINY": "1e-17"},
    ),
    "logaddexp": {
        "float": """
$F logaddexp_$N($F a, $F b) {
  $F gap = a == b ? $v{0.0} : -abs_$N(a - b);
  return max_$N(a, b) + log1p_$N(exp_down_$N(gap));
}""",
    },
    "logistic": {
        "float": """
$F logistic_$N($F x) {
  $F e = exp_down_$N(-abs_$N(x));
  return (x < $c{0.0} ? e : $v{1.0}) / ($c{1.0} + e);
}""",
    },
    "tanh": {
        # a quotient of polynomials: 5 ulp where 3 took an exponential and three times as long
        "f32": _both("""
$F tanh_$N($F x) {
  $F a = x > $c{10.0} ? $v{10.0} : x;
  a = a < $c{-10.0} ? $v{-10.0} : a;
  $F z = a * a;
  return within_one_$N(a * @u(z) / @v(z));
}""")["f32"],
        "f64": _both("""
$F tanh_$N($F x) {
  $F size = abs_$N(x);
  size = size > $c{20.0} ? $v{20.0} : size;
  $F t = expm1_$N(size + size);
  return copysign_$N(t / (t + $c{2.0}), x);
}""")["f64"],
    },
    "within_one": {
        "float": """
$F within_one_$N($F x) {
  x = x > $c{1.0} ? $v{1.0} : x;
  return x < $c{-1.0} ? $v{-1.0} : x;
}""",
    },
    # with h = exp|x| / 2; near 0 @s is (sinh(x) - x) / x^3
    "sinh": _both("""
$F sinh_$N($F x) {
  $F h = half_exp_$N(abs_$N(x)), square = x * x;
  $F small = x * square * @s(square) + x;
  return abs_$N(x) < $c{1.0} ? small : copysign_$N(h - $c{0.25} / h, x);
}"""),
    "cosh": {
        "float": """
$F cosh_$N($F x) {
  $F h = half_exp_$N(abs_$N(x));
  return h + $c{0.25} / h;
}""",
    },
    "asinh": _both("""
$F asinh_$N($F x) {
  $F a = abs_$N(x);
  $F grown = a + a * a / ($c{1.0} + sqrt_$N(a * a + $c{1.0}));
  $M large = a > $c{1e18};
  $F y = log1p_$N(large ? a : grown) + (large ? $v{0.6931471805599453} : $v{0.0});
  return copysign_$N(y, x);
}"""),
    "acosh": {
        "float": """
$F acosh_$N($F x) {
  $F t = x - $c{1.0};
  $M large = x > $c{1e18};
  $F y = log1p_$N(large ? x : t + sqrt_$N(t * (x + $c{1.0})));
  y = y + (large ? $v{0.6931471805599453} : $v{0.0});
  return x < $c{1.0} ? ($F)(NAN) : y;
}""",
    },
    "atanh": {
        "float": """
$F atanh_$N($F x) {
  $F a = abs_$N(x);
  return copysign_$N($c{0.5} * log1p_$N((a + a) / ($c{1.0} - a)), x);
}""",
    },
    # a third of the exponent by bits, then Halley's iteration, which triples the digits
    "cbrt": _both(
        """
$F cbrt_$N($F x) {
  $F a = abs_$N(x);
  $M small = a < @SMALL;
  a = small ? a * @UP : a;
  $F y = @SEED, t;
@STEPS
  y = small ? y * @DOWNCBRT : y;
  return ((a > $c{0.0}) & (a < ($F)(INFINITY))) ? copysign_$N(y, x) : x;
}""",
        {
            "SMALL": "1e-30f",
            "SEED": "$asF($toI($toF($asI(a)) * 0.333333333f) + 0x2a5137a0)",
            "STEPS": "\n".join([_HALLEY] * 2),
        },
        {
            "SMALL": "1e-290",
            "SEED": "$asF($toI($toi32($tof64($toi32($asI(a) >> 32)) / 3.0) + 715094163) << 32)",
            "STEPS": "\n".join([_HALLEY] * 3),
        },
    ),
    # the upper half of the significand
    "upper": _both("$F upper_$N($F x) { return $asF($asU(x) & @KEEP); }"),
    # log2(x) for finite x > 0 as the sum of the result, which has few bits, and *low:
    # log(1 + f) = 2/3 s (3 + s^2 + 3/2 s^4 @w(s^2)), s = f / (2 + f) and the factors in two pieces
    "log2_pieces": _both("""
$F log2_pieces_$N($F x, $F *low) {
  $F f;
  $F k = log_split_$N(x, &f);
  $F d = $c{2.0} + f;
  $F d_low = f - (d - $c{2.0}), d_high = upper_$N(d);
  d_low = (d - d_high) + d_low;
  $F s = f / d;
  $F s_high = upper_$N(s);
  $F s_low = ((f - s_high * d_high) - s_high * d_low) / d;
  $F z = s * s;
  $F rest = $c{1.5} * (z * z) * @w(z) + s_low * (s_high + s);
  $F square = s_high * s_high;
  $F sum = upper_$N(($c{3.0} + square) + rest);
  $F sum_low = rest - ((sum - $c{3.0}) - square);
  $F u = s_high * sum, v = s_low * sum + sum_low * s;
  $F p_high = upper_$N(u + v);
  $F p_low = v - (p_high - u);
  $F z_high = @CPHI * p_high, z_low = @CPLO * p_high + p_low * @CP;
  $F high = upper_$N((z_high + z_low) + k);
  *low = z_low - ((high - k) - z_high);
  return high;
}"""),
    # the values of pow where x is not positive and normal or y is not finite
    "pow_mend": _both("""
$F pow_mend_$N($F x, $F y, $F result) {
  $F a = abs_$N(x), size = abs_$N(y);
  $M endless = size == ($F)(INFINITY);
  $M grows = (a > $c{1.0}) == (y > $c{0.0});
  $M special = (a == $c{0.0}) | (a == ($F)(INFINITY)) | endless;
  result = special ? (grows ? ($F)(INFINITY) : $v{0.0}) : result;
  result = (endless & (a == $c{1.0})) ? $v{1.0} : result;
  $F half_y = y * $c{0.5};
  $M whole = trunc_$N(y) == y;
  $M odd = whole & (trunc_$N(half_y) != half_y);
  result = (odd & ($asI(x) < 0)) ? -result : result;
  result = ((x < $c{0.0}) & (a < ($F)(INFINITY)) & !whole) ? ($F)(NAN) : result;
  result = ((x != x) | (y != y)) ? x + y : result;
  return ((x == $c{1.0}) | (y == $c{0.0})) ? $v{1.0} : result;
}"""),
    "pow": _both(
        """
$F pow_$N($F x, $F y) {
  $F a = abs_$N(x), size = abs_$N(y), low;
  $F high = log2_pieces_$N(a, &low);
  $F bounded = size > @LARGE ? copysign_$N(($F)(@LARGE), y) : y;
  $F y_high = upper_$N(bounded);
  $F p_high = y_high * high, p_low = (bounded - y_high) * high + bounded * low;
  $F p = p_high + p_low;
  $M over = p > @MOST, under = p < @LEAST;
  p = over ? ($F)(@MOST) : (under ? ($F)(@LEAST) : p);
  $F shifted = p + @MAGIC;
  $F n = shifted - @MAGIC;
  $F r = (over | under) ? p - n : (p_high - n) + p_low;
  $F result = scaled_$N(r * @p(r) + $c{1.0}, shifted, $c{1.0});
  $M wild = !(size <= @LARGE);
  return (log_rare_$N(x) || any_$NI(wild)) ? pow_mend_$N(x, y, result) : result;
}""",
        {"MOST": "129.0f", "LEAST": "-153.0f", "LARGE": "1e18f"},
        {"MOST": "1025.0", "LEAST": "-1079.0", "LARGE": "1e25"},
    ),
}

BOUNDS: dict[str, tuple[float, float]] = {
    "exp": (1, 1),
    "exp_down": (1, 1),
    "exp2": (1.1, 1.2),
    "expm1": (2, 2),
    "log": (1, 1),
    "log2": (2, 2),
    "log10": (2, 2),
    "log1p": (2, 2),
    "logaddexp": (3, 3),
    "logistic": (2.5, 2.5),
    "tanh": (5, 3),
    "sinh": (2.5, 2.5),
    "cosh": (2, 2),
    "asinh": (4, 4),
    "acosh": (4, 4),
    "atanh": (4, 4),
    "cbrt": (1, 1),
    "pow": (2, 2),
}
