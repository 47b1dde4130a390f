"""Sine, cosine, tangent and their inverses.

Arguments up to 1e5 are reduced by pi/2 in pieces short enough that n times each is exact, so only
the last subtraction rounds. Larger ones take Payne and Hanek's way in integers (no double needed):
the bits of 2/pi that matter times the significand; a register does so only if a lane needs it.
"""

from lowering.mathlib.polynomial import by_kind

_TWO_OVER_PI = (
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e0"
    "06492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4"
    "9c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d"
    "7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6babf0cfbc209af4361d"
)  # hexadecimal digits of 2 / pi

_F32 = {
    "MAGIC": "12582912.0f",
    "TWOOVERPI": "0.636619747f",
    "REDUCE": "\n".join(f"  r = r - n * {piece}f;" for piece in (0.0004825592, 1.2665987e-06)),
    "FOURTH": "9.895302e-10f",
    "LAST": "2.563344e-12f",
    "FIRST": "1.5703125f",
    "SIGNPLACE": "30",
    "PI": "3.1415927f",
    "PILOW": "-8.742278e-08f",
    "PIO2": "1.5707964f",
    "PIO2LOW": "-4.371139e-08f",
    "PIO4": "0.7853982f",
    "PIO4LOW": "-2.1855694e-08f",
    "HUGE": "1e38f",
    # with z = x^2: (sin x - x) / x^3, (cos x - 1 + z/2) / z^2, (asin x - x) / x^3, the same of atan
    "s": (-0.16666654, 0.008332094, -0.00019505266),
    "c": (0.04166665, -0.001388743, 2.444156e-05),
    "a": (0.16666724, 0.07496239, 0.04536875, 0.024625149, 0.04148012),
    "t": (-0.33333322, 0.19998781, -0.14247799, 0.106170155, -0.06120977),
}
_F64 = {
    "MAGIC": "6755399441055744.0",
    "TWOOVERPI": "0.6366197723675814",
    "REDUCE": "",
    "FOURTH": "6.077100506303966e-11",
    "LAST": "2.0222662487959506e-21",
    "FIRST": "1.5707963267341256",
    "SIGNPLACE": "62",
    "PI": "3.141592653589793",
    "PILOW": "1.2246467991473532e-16",
    "PIO2": "1.5707963267948966",
    "PIO2LOW": "6.123233995736766e-17",
    "PIO4": "0.7853981633974483",
    "PIO4LOW": "3.061616997868383e-17",
    "HUGE": "1e308",
    "s": (-0.1666666666666663, 0.008333333333321178, -0.00019841269828515908)
    + (2.7557313173939475e-06, -2.50506692010961e-08, 1.5891302491970545e-10),
    "c": (0.04166666666666665, -0.0013888888888880814, 2.480158729256752e-05)
    + (-2.7557314984813977e-07, 2.0875780181569885e-09, -1.1361341848956141e-11),
    "a": (0.1666666666666668, 0.07499999999990582, 0.04464285715740808, 0.030381943469254817)
    + (0.02237219501179001, 0.01735194857066247, 0.013977013489740746, 0.011428454356102872)
    + (0.010622528565305826, 0.004276058160404501, 0.02037777146080544)
    + (-0.019188555996752076, 0.031536407432899795),
    "t": (-0.3333333333333333, 0.19999999999998322, -0.14285714285398837, 0.11111111085619549)
    + (-0.09090907965780622, 0.0769227724892859, -0.06666128943817476, 0.05875940822823068)
    + (-0.052108372926427296, 0.04470877630905138, -0.03267985869945559, 0.014361860686738257),
}


def _both(template: str) -> dict[str, str]:
    return by_kind(template, {"f32": _F32, "f64": _F64})


def _large_f32() -> str:
    """x = m 2^(e-23): m times 96 bits of 2/pi from bit e-25 on; what is before them is whole turns.

    The words come from a choice among constants, not from a table: that keeps it one vector code.
    """
    words = ["0u"] + [f"0x{_TWO_OVER_PI[8 * k : 8 * k + 8]}u" for k in range(7)]
    lines = []
    for k in range(4):
        lines.append(f"  $U p{k} = ($U)({words[k]});")
        lines += [f"  p{k} = j == {j} ? ($U)({words[j + k]}) : p{k};" for j in range(1, 5)]
    chosen = "\n".join(lines)
    return f"""
$F large_reduce_$N($F x, $I *quadrant) {{
  $I bits = $asI(x);
  $I place = ((bits >> 23) & 0xff) - 127 + 7, j = place >> 5;
  $u64 shift = $tou64(place & 31), m = $tou64((bits & 0x7fffff) | 0x800000);
{chosen}
  $u64 q0 = ((($tou64(p0) << 32) | $tou64(p1)) << shift) >> 32;
  $u64 q1 = ((($tou64(p1) << 32) | $tou64(p2)) << shift) >> 32;
  $u64 q2 = ((($tou64(p2) << 32) | $tou64(p3)) << shift) >> 32;
  $u64 product = ((m * q0) << 32) + m * q1 + ((m * q2) >> 32);
  $i64 fraction = $asi64(product << 2);
  $I turns = $toI(product >> 62) + $toI((product >> 61) & 1);
  $F r = $toF(fraction) * 8.515304e-20f;
  *quadrant = bits < 0 ? -turns : turns;
  return bits < 0 ? -r : r;
}}"""


def _large_f64() -> str:
    """The same with 53 bits times 192, of which the upper 128 are kept, for one lane."""
    words = ", ".join(f"0x{_TWO_OVER_PI[16 * k : 16 * k + 16]}UL" for k in range(20))
    return f"""
double large_reduce_$N(double x, long *quadrant) {{
  const ulong table[21] = {{0UL, {words}}};
  long bits = as_long(x);
  int place = (int)((bits >> 52) & 0x7ff) - 1023 + 10;
  place = place < 0 ? 0 : (place > 1042 ? 1042 : place);
  int j = place >> 6, shift = place & 63;
  ulong m = (bits & 0xfffffffffffffL) | 0x10000000000000L;
  ulong q0 = table[j] << shift, q1 = table[j + 1] << shift, q2 = table[j + 2] << shift;
  if (shift > 0) {{
    q0 |= table[j + 1] >> (64 - shift);
    q1 |= table[j + 2] >> (64 - shift);
    q2 |= table[j + 3] >> (64 - shift);
  }}
  ulong low = m * q1, carry = mul_hi(m, q2);
  ulong high = m * q0 + mul_hi(m, q1);
  low += carry;
  high += low < carry;
  long turns = (long)(high >> 62) + (long)((high >> 61) & 1);
  high = (high << 2) | (low >> 62);
  low = low << 2;
  int flip = (long)high < 0;
  double size = (double)(flip ? ~high : high) + (double)(flip ? ~low : low) * 0x1p-64;
  double r = size * 8.515303950216386e-20;
  r = flip != (bits < 0) ? -r : r;
  *quadrant = bits < 0 ? -turns : turns;
  return r;
}}"""


_LANES = """
$F large_reduce_$N($F x, $I *quadrant) {
  union { $F all; double lane[$W]; } r;
  union { $I all; long lane[$W]; } q;
  r.all = x;
  for (int i = 0; i < $W; i++) r.lane[i] = large_reduce_f64x1(r.lane[i], &q.lane[i]);
  *quadrant = q.all;
  return r.all;
}"""

TEMPLATES: dict[str, dict[str, str]] = {
    "large_reduce": {"f32": _large_f32(), "f64": _LANES, "f64x1": _large_f64()},
    # x = quadrant pi/2 + r, |r| <= pi/4; only the quadrant's last two bits mean something
    "trig_reduce": _both("""
$F trig_reduce_$N($F x, $I *quadrant) {
  $F shifted = x * @TWOOVERPI + @MAGIC;
  $F n = shifted - @MAGIC;
  $F r = x - n * @FIRST;
@REDUCE
  $F most = r - n * @FOURTH;
  r = most + (((r - most) - n * @FOURTH) - n * @LAST);
  $I turns = $asI(shifted);
  $M large = abs_$N(x) > $c{1e5};
  if (any_$NI(large)) {
    $I large_turns;
    $F large_r = large_reduce_$N(x, &large_turns);
    large_r = is_finite_$N(x) ? large_r : ($F)(NAN);
    r = large ? large_r : r;
    turns = large ? large_turns : turns;
  }
  *quadrant = turns;
  return r;
}"""),
    "sin_kernel": _both("""
$F sin_kernel_$N($F r) {
  $F z = r * r;
  return r + (r * z) * @s(z);
}"""),
    "cos_kernel": _both("""
$F cos_kernel_$N($F r) {
  $F z = r * r;
  return ($c{1.0} - $c{0.5} * z) + (z * z) * @c(z);
}"""),
    "sin": _both("""
$F sin_$N($F x) {
  $I q;
  $F r = trig_reduce_$N(x, &q);
  $F y = (q & 1) != 0 ? cos_kernel_$N(r) : sin_kernel_$N(r);
  return x == $c{0.0} ? x : $asF($asI(y) ^ ((q & 2) << @SIGNPLACE));
}"""),
    "cos": _both("""
$F cos_$N($F x) {
  $I q;
  $F r = trig_reduce_$N(x, &q);
  $F y = (q & 1) != 0 ? sin_kernel_$N(r) : cos_kernel_$N(r);
  return $asF($asI(y) ^ (((q + 1) & 2) << @SIGNPLACE));
}"""),
    "tan": _both("""
$F tan_$N($F x) {
  $I q;
  $F r = trig_reduce_$N(x, &q);
  $F s = sin_kernel_$N(r), c = cos_kernel_$N(r);
  $M odd = (q & 1) != 0;
  return x == $c{0.0} ? x : (odd ? -c : s) / (odd ? s : c);
}"""),
    # the angle of (x, y) with x, y >= 0: about pi/8's multiples 0, 2, 4 for a small quotient
    "angle": _both("""
$F angle_$N($F y, $F x) {
  $M steep = y > $c{2.414213562373095} * x, middle = y > $c{0.41421356237309503} * x;
  $F t = (steep ? -x : (middle ? y - x : y)) / (steep ? y : (middle ? y + x : x));
  $F z = t * t;
  $F p = (t * z) * @t(z);
  p = p + (steep ? ($F)(@PIO2LOW) : (middle ? ($F)(@PIO4LOW) : $v{0.0}));
  $F base = steep ? ($F)(@PIO2) : (middle ? ($F)(@PIO4) : $v{0.0});
  return base + (p + t);
}"""),
    "atan": {
        "float": "$F atan_$N($F x) { return copysign_$N(angle_$N(abs_$N(x), $v{1.0}), x); }",
    },
    "atan2": _both("""
$F atan2_$N($F y, $F x) {
  $F a = abs_$N(y), b = abs_$N(x);
  $M large = (a > @HUGE) | (b > @HUGE);
  $M endless = (a == ($F)(INFINITY)) & (b == ($F)(INFINITY));
  $M zero = (a == $c{0.0}) & (b == $c{0.0});
  $F scale = large ? $v{0.25} : $v{1.0};
  $F r = angle_$N(endless ? $v{1.0} : a * scale, (endless | zero) ? $v{1.0} : b * scale);
  r = $asI(x) < 0 ? @PI - (r - @PILOW) : r;
  return copysign_$N(r, y);
}"""),
    # asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) for x > 1/2
    "asin": _both("""
$F asin_$N($F x) {
  $F size = abs_$N(x);
  $M large = size > $c{0.5};
  $F z = large ? ($c{1.0} - size) * $c{0.5} : size * size;
  $F s = large ? sqrt_$N(z) : size;
  $F p = s + (s * z) * @a(z);
  return copysign_$N(large ? @PIO2 - ((p + p) - @PIO2LOW) : p, x);
}"""),
    "acos": _both("""
$F acos_$N($F x) {
  $F size = abs_$N(x);
  $M large = size > $c{0.5};
  $F z = large ? ($c{1.0} - size) * $c{0.5} : size * size;
  $F s = large ? sqrt_$N(z) : x;
  $F p = s + (s * z) * @a(z);
  $F far = x < $c{0.0} ? @PI - ((p + p) - @PILOW) : p + p;
  return large ? far : @PIO2 - (p - @PIO2LOW);
}"""),
}

BOUNDS: dict[str, tuple[float, float]] = {
    "sin": (2.5, 3),
    "cos": (2.5, 3),
    "tan": (4, 3.5),
    "asin": (3, 3),
    "acos": (2, 2),
    "atan": (2, 2),
    "atan2": (3, 3),
}
