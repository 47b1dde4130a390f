"""The inverse error function by M. Giles's polynomials, as other libraries draw normal numbers.

erf_inv(x) = x p(w), w = -log(1 - x^2) with x^2 rounded (GPU Computing Gems 2, 2011, chapter 10). Up
to 65 ulp from the truth (float32), mostly through that rounding; `erf_inv` is the accurate one.
"""

import numpy as np

from lowering.mathlib.polynomial import by_kind

Table = dict[str, tuple[float, ...]]

# in w - 5/2 for w < 5, beyond in sqrt(w) - 3; lowest coefficient first
_F32: Table = {
    "i": (1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087)
    + (-4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08),
    "j": (2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773)
    + (-0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257),
}
# in w - 25/8 for w < 25/4, then in sqrt(w) - 13/4 for w < 16, then in sqrt(w) - 5
_F64: Table = {
    "i": (1.6536545626831027356, 0.24015818242558961693, -0.0060336708714301490533)
    + (-0.00074070253416626697512, 0.0001867342080340571352, -1.3882523362786468719e-05)
    + (-1.3654692000834678645e-06, 4.2347877827932403518e-07, -2.9070369957882005086e-08)
    + (-4.1126339803469836976e-09, 1.051212273321532285e-09, -5.4154120542946279317e-11)
    + (-1.2975133253453532498e-11, 2.6335093153082322977e-12, -8.1519341976054721522e-14)
    + (-4.0545662729752068639e-14, 6.6376381343583238325e-15, 2.0972767875968561637e-17)
    + (-1.333171662854620906e-16, 1.115787767802518096e-17, 1.2858480715256400167e-18)
    + (-1.685059138182016589e-19, -3.6444120640178196996e-21),
    "j": (3.0838856104922207635, 1.0052589676941592334, 0.005370914553590063617)
    + (-0.0037512085075692412107, 0.0024914420961078508066, -0.0016882755560235047313)
    + (0.00095328937973738049703, -0.0003550375203628474796, 2.4031110387097893999e-05)
    + (6.8284851459573175448e-05, -4.7318229009055733981e-05, 1.2475304481671778723e-05)
    + (2.9234449089955446044e-06, -4.013867526981545969e-06, 1.5027403968909827627e-06)
    + (1.8239629214389227755e-08, -2.7517406297064545428e-07, 9.0756561938885390979e-08)
    + (2.2137376921775787049e-09,),
    "k": (4.8499064014085844221, 1.0103004648645343977, -0.00013871931833623122026)
    + (-0.00021503011930044477347, 7.5995277030017761139e-05, -1.9681778105531670567e-05)
    + (4.5260625972231537039e-06, -9.9298272942317002539e-07, 2.2900482228026654717e-07)
    + (-6.7711997758452339498e-08, 2.9147953450901080826e-08, -1.4960026627149240478e-08)
    + (7.6157012080783393804e-09, -3.7894654401267369937e-09, 1.5076572693500548083e-09)
    + (-2.5556418169965252055e-10, -2.7109920616438573243e-11),
}

TABLES = {np.float32: _F32, np.float64: _F64}

TEMPLATES: dict[str, dict[str, str]] = {
    "erf_inv_giles": {
        "f32": by_kind(
            """
$F erf_inv_giles_$N($F x) {
  $F square = x * x;
  $F w = -log_$N($c{1.0} - square);
  $F u = w - $c{2.5};
  $F y = @i:(u);
  $M far = w >= $c{5.0};
  if (any_$NI(far)) {  // one of 300 uniform numbers
    $F v = sqrt_$N(w) - $c{3.0};
    y = far ? @j:(v) : y;
    y = w == ($F)(INFINITY) ? w : y;
  }
  return x * y;
}""",
            {"f32": _F32},
        )["f32"],
        "f64": by_kind(
            """
$F erf_inv_giles_$N($F x) {
  $F square = x * x;
  $F w = -log1p_$N(-square);
  $F root = sqrt_$N(w), u = w - $c{3.125}, v = root - $c{3.25}, far = root - $c{5.0};
  $F y = w < $c{6.25} ? @i:(u) : (w < $c{16.0} ? @j:(v) : @k:(far));
  return abs_$N(x) == $c{1.0} ? copysign_$N(($F)(INFINITY), x) : x * y;
}""",
            {"f64": _F64},
        )["f64"],
    }
}

# against the same polynomials of the same rounded square
BOUNDS: dict[str, tuple[float, float]] = {"erf_inv_giles": (3.5, 3)}


def erf_inv_giles(x: np.ndarray) -> np.ndarray:
    """The same in NumPy, for float32 and float64."""
    table = TABLES[x.dtype.type]
    middle, split = (3.125, 6.25) if table is _F64 else (2.5, 5.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        w = -np.log1p(-(x * x))
        y = _horner(w - x.dtype.type(middle), table["i"])
        far = w >= split
        root = np.sqrt(w[far])
        if table is _F32:
            tail = _horner(root - x.dtype.type(3), table["j"])
        else:
            near, beyond = _horner(root - 3.25, table["j"]), _horner(root - 5, table["k"])
            tail = np.where(root < 4, near, beyond)
        y[far] = np.where(root == np.inf, root, tail)
        return x * y


def _horner(z: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    sums = np.full_like(z, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        sums *= z
        sums += z.dtype.type(c)
    return sums
