"""Functions of float32 by instructions of AVX-512, most by tables of sixteen entries in registers.

It takes lanes of a register by the low four bits of indices (`vpermps`), scales by powers of
two with one rounding (`vscalefps`) and parts numbers, subnormal ones too, into power and rest
(`vgetexpps`, `vgetmantps`). These texts stand in for those of the same names where a profile
`looks_up`; fewer lanes than eight are eight, so that a number's result is that of any width.
"""

import re
from collections.abc import Sequence

_EXPONENTIALS = [float(f"{2.0 ** (k / 16):.9g}") for k in range(16)]
# what rounding takes from these
_LESS = (0.0, 4.83347e-08, -1.307754e-08, 5.3862223e-08, 3.7976353e-08, 4.4968381e-08)
_LESS += (-4.0189995e-08, -1.0123349e-08, 2.4203235e-08, -4.5008989e-08, 8.0709048e-09)
_LESS += (9.8362172e-09, -2.4755327e-08, -9.2357704e-09, -1.1239278e-08, 9.8453281e-09)
# where the fraction of m in [3/4, 3/2) begins with these four bits: about 1 / m, in 8 bits, ones
# about 1; the logarithm of its inverse, and ln 2 more where m is below 1 and its power of two
# counts one too few: what can be added to k LN2HI without rounding, and the rest
_INVERSES = (1.0, 0.9375, 0.86328125, 0.8203125, 0.78125, 0.74609375, 0.7109375, 0.6796875)
_INVERSES += (1.3046875, 1.25390625, 1.20703125, 1.1640625, 1.12109375, 1.0859375, 1.0625, 1.0)
_LOGS = (0.0, 0.064544677734375, 0.1470184326171875, 0.1980743408203125, 0.246856689453125)
_LOGS += (0.29290771484375, 0.3411712646484375, 0.3861236572265625, 0.42718505859375)
_LOGS += (0.466888427734375, 0.5049896240234375, 0.541229248046875, 0.5788421630859375)
_LOGS += (0.6107025146484375, 0.6325225830078125, 0.693145751953125)
_RESTS = (0.0, -6.156597e-06, -3.6896554e-06, -4.4270582e-06, 3.3884785e-06, -3.6984109e-06)
_RESTS += (-5.0724566e-07, -1.5119615e-06, -1.426531e-06, -4.9258247e-06, -6.275882e-06)
_RESTS += (1.8904873e-06, 2.4619396e-07, 9.967005e-07, -2.4264303e-08, 1.42860677e-06)

# by power, the coefficients of polynomials in t for erf of (k + t) / SCALE, |t| <= 1/2: the first
# is odd, the last ends at 1
_SCALE, _MOST, _POWERS = "3.94147587f", "3.93f", range(64, -1, -16)
_WRITTEN = """
0.0 0.28025755 0.5269998 0.7182557 0.84877336 0.9271893 0.96866703 0.9879822 0.9959008
0.99875873 0.9996668 0.9999208 0.9999834 0.9999969 0.99999946 0.99999994 0.2862834 0.26843598
0.22129641 0.16039732 0.10221366 0.05726771 0.028209785 0.012217403 0.004652043 0.0015574154
0.00045840628 0.000118625496 2.69934e-05 5.398374e-06 9.442147e-07 1.4981605e-07 0.0
-0.017278617 -0.028488731 -0.030974224 -0.026317915 -0.018432124 -0.010895156 -0.0055052326
-0.0023960099 -0.00090198626 -0.00029498184 -8.361797e-05 -2.1178383e-05 -4.4389485e-06
-4.016158e-07 -3.661335e-07 -0.0061426065 -0.005018157 -0.002303125 0.0005458962 0.0023242917
0.0027260135 0.0022000265 0.0013915284 0.0007232517 0.00031504466 0.00011679129 3.7138958e-05
1.0109686e-05 2.4165552e-06 5.7924586e-07 4.0358156e-08 0.0 0.00052762637 0.0007532321
0.00061006536 0.00026594338 -3.9883926e-05 -0.00018975664 -0.00019416134 -0.00013340218
-7.2968825e-05 -3.1741944e-05 -1.2647777e-05 -2.4646265e-06 -1.1768896e-06 -1.660053e-06
6.768066e-07 0.00011794057 8.271958e-05 5.5234104e-06 -5.7050893e-05 -7.167312e-05
-4.7021862e-05 -1.3176089e-05 8.22348e-06 1.1631679e-05 1.0589987e-05 5.8009146e-06 2.39527e-06
1.0349652e-06 2.2229865e-07 -2.0849168e-07 1.6643291e-07
"""
_ERF = _WRITTEN.split()


def _table(entries: Sequence[float | str]) -> str:
    return f"(float16)({', '.join(f'{e}f' for e in entries)})"


def _one(name: str, template: str) -> dict[str, str]:
    """A function of one argument: this text of eight and sixteen lanes, others by eight."""
    widen = {4: "x, x", 2: "x, x, x, x", 1: "x"}
    part = {4: "lo", 2: "lo.lo", 1: "s0"}
    narrow = f"$F {name}_$N($F x) {{ return {name}_f32x8((float8)(%s)).%s; }}"
    return {"f32": template} | {f"f32x{w}": narrow % (widen[w], part[w]) for w in widen}


def _builtin(name: str, arguments: str, calls: dict[int, str]) -> dict[str, str]:
    """A function by clang's builtins of sixteen and eight lanes, which take vectors of its own.

    In a call `{x}` is the argument x as such a vector, of floats, `{x:i}` as one of ints.
    """
    texts = {}
    for width, call in calls.items():
        call = re.sub(r"{([\w.]+)}", r"__builtin_astype(\1, own)", call)
        call = re.sub(r"{([\w.]+):i}", r"__builtin_astype(\1, whole)", call)
        size = f"__attribute__((vector_size({4 * width})))"
        types = f"  typedef float own {size};\n" + f"  typedef int whole {size};\n" * (
            "whole" in call
        )
        texts[f"f32x{width}"] = (
            f"$F {name}_$N({arguments}) {{\n{types}  return $asF(__builtin_ia32_{call});\n}}"
        )
    return texts


def _exponential(
    name: str, power: str = "n", most: str = "90.0f", less: str = ""
) -> dict[str, str]:
    """exp(x) = 2^n (t + t (r + r^2 (a + b r))), n in sixteenths, t from the table by its bits.

    Of what is nothing (n below -150) `scale` makes 0, whatever the rest is.
    """
    bound = f"  x = x > {most} ? ($F)({most}) : x;\n" if most else ""
    template = f"""
$F {name}_$N($F x) {{
{bound}  $F shifted = x * 1.44269504f + 786432.0f;
  $F n = shifted - 786432.0f;
  $F r = x - n * 0.693145752f;
  r = r - n * 1.42860677e-06f;
  r = (r * r) * (0.16667025f * r + 0.5000162f) + r;
  $F t = look_up_$N({_table(_EXPONENTIALS)}, $asI(shifted));
  return scale_$N(t * r{less} + t, {power}, $v{{0.0}}, ($F)(-150.0f));
}}"""
    return _one(name, template)


TEMPLATES: dict[str, dict[str, str]] = {
    "look_up": _builtin(
        "look_up",
        "float16 table, $I at",
        {
            16: "permvarsf512({table}, {at:i})",
            8: "vpermi2varps256({table.lo}, {at:i}, {table.hi})",
        },
    ),
    # 0 for n below -150 (21: not less), which Intel's processors would take 100 cycles for
    "scale": _builtin(
        "scale",
        "$F y, $F n, $F zero, $F least",
        {
            16: "scalefps512_mask({y}, {n}, {zero}, "
            "__builtin_ia32_cmpps512_mask({n}, {least}, 21, -1, 4), 4)",
            8: "scalefps256_mask({y}, {n}, {zero}, "
            "__builtin_ia32_cmpps256_mask({n}, {least}, 21, -1))",
        },
    ),
    "power_of": _builtin(
        "power_of",
        "$F x",
        {16: "getexpps512_mask({x}, {x}, -1, 4)", 8: "getexpps256_mask({x}, {x}, -1)"},
    ),
    # in [3/4, 3/2); of a negative number NaN, of zeros and infinity 1
    "rest_of": _builtin(
        "rest_of",
        "$F x",
        {16: "getmantps512_mask({x}, 15, {x}, -1, 4)", 8: "getmantps256_mask({x}, 15, {x}, -1)"},
    ),
    "about_rsqrt": _builtin(
        "about_rsqrt",
        "$F x",
        {16: "rsqrt14ps512_mask({x}, {x}, -1)", 8: "rsqrt14ps256_mask({x}, {x}, -1)"},
    ),
    # 14 bits are known, and a step of Newton's doubles them; of zeros and infinity all are
    "rsqrt": _one(
        "rsqrt",
        """
$F rsqrt_$N($F x) {
  $F y = about_rsqrt_$N(x);
  $F less = 1.0f - (x * y) * y;
  return less == less ? (y * 0.5f) * less + y : y;
}""",
    ),
    "exp": _exponential("exp"),
    "exp_down": _exponential("exp_down", most=""),
    "half_exp": _exponential("half_exp", power="n - 1.0f"),
    "exp_near": _exponential(
        "exp_near", most="", less=f" + look_up_$N({_table(_LESS)}, $asI(shifted))"
    ),
    "logistic": _one(
        "logistic",
        """
$F logistic_$N($F x) {
  $F e = exp_near_$N(-abs_$N(x));
  return (x < $c{0.0} ? e : $v{1.0}) / ($c{1.0} + e);
}""",
    ),
    # log(x) = k ln2 + log(m): (k LN2HI + l) + (r + (r^2 q(r) + (k LN2LO + rest))), r = m i - 1
    "log": _one(
        "log",
        f"""
$F log_$N($F x) {{
  $F k = power_of_$N(x), m = rest_of_$N(x);
  $I at = $asI(m) >> 19;
  $F r = m * look_up_$N({_table(_INVERSES)}, at) - 1.0f;
  $F high = k * 0.693145752f + look_up_$N({_table(_LOGS)}, at);
  $F low = k * 1.42860677e-06f + look_up_$N({_table(_RESTS)}, at);
  $F q = (0.18966274f * r - 0.25015302f) * (r * r) + (0.33334496f * r - 0.49999997f);
  return high + (r + ((r * r) * q + low));
}}""",
    ),
    # the whole part of |x| in steps says by which polynomial of the rest
    "erf": _one(
        "erf",
        f"""
$F erf_$N($F x) {{
  $F a = abs_$N(x);
  a = a > {_MOST} ? ($F)({_MOST}) : a;
  $F shifted = a * {_SCALE} + 12582912.0f;
  $F t = a * {_SCALE} - (shifted - 12582912.0f);
  $I at = $asI(shifted);
  $F y = look_up_$N({_table(_ERF[80:])}, at);
{chr(10).join(f"  y = y * t + look_up_$N({_table(_ERF[k : k + 16])}, at);" for k in _POWERS)}
  return copysign_$N(y, x);
}}""",
    ),
}
