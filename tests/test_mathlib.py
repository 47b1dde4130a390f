"""Each elementary function, in kernels of one and of sixteen lanes, against wider arithmetic.

The references are NumPy's in float64 (for float32) and longdouble (for float64); special functions
have SciPy's float64. A program holds many functions, chosen by an argument: a build costs far more.
"""

import math
import re

import numpy as np
import plans
import pyopencl as cl
import pytest
import scipy.special

from lowering import graph, mathlib, scalar_text
from lowering.compile import make_plan
from lowering.interp_index import threefry2x32
from lowering.mathlib import giles, strided, tables
from lowering.profile import AVX2, AVX512
from lowering.runtime import devices

pytestmark = pytest.mark.filterwarnings("ignore::pyopencl.CompilerWarning")  # Intel talks

KINDS = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
TEXTS = (*KINDS, "tables")  # the last: of float32, as processors with AVX-512 have them
WIDTHS = (1, 16)


@pytest.fixture(scope="module")
def queue():
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("no OpenCL device")
    yield cl.CommandQueue(device.context)


class Program:
    """One kernel with a case per function of the form out = f(x, y); arrays go in and come out."""

    def __init__(self, queue, dtype, width, cases, looks_up=False):
        self.queue, self.width, self.cases = queue, width, list(cases)
        register = scalar_text.register_type(dtype, width)
        lines = [f"    case {i}: r = {text}; break;" for i, text in enumerate(self.cases)]
        load = [scalar_text.load(dtype, width, f"{p} + i * {width}") for p in "xy"]
        body = [
            "static __attribute__((noinline, min_vector_width(512)))",  # as stages of plans are
            "void item(@const T *x, @const T *y, @T *out, int which, long i) {",
            f"  {register} a = {load[0]}, b = {load[1]}, r = a;",
            "  switch (which) {",
            *lines,
            "  }",
            f"  {scalar_text.store(dtype, width, f'out + i * {width}', 'r')};",
            "}",
            "__kernel void run(@const T *x, @const T *y, @T *out, int which) {",
            "  item(x, y, out, which, get_global_id(0));",
            "}",
        ]
        text = "\n".join(body).replace("T *", f"{scalar_text.memory_type(dtype)} *")
        text = text.replace("@", "__global ")
        functions = mathlib.source(mathlib.needed(text), looks_up=looks_up)
        prelude = scalar_text.prelude([width], [dtype, np.float64])
        self.kernel = plans.kernel(queue, prelude + functions + text)

    def __call__(self, which, x, y=None):
        n = x.size
        pad = -n % 16
        x = np.concatenate([x, np.ones(pad, x.dtype)])
        y = x if y is None else np.concatenate([y, np.ones(pad, x.dtype)])
        flags = cl.mem_flags.COPY_HOST_PTR
        bx, by, out = (cl.Buffer(self.queue.context, flags, hostbuf=v) for v in (x, y, x))
        self.kernel(self.queue, (x.size // self.width,), None, bx, by, out, np.int32(which))
        result = np.empty_like(x)
        cl.enqueue_copy(self.queue, result, out)
        return result[:n]


def wide(kind, name=""):
    return np.float64 if kind == "f32" or name in SPECIAL else np.longdouble


def ulps(got, want, dtype, least=0.0):
    """Error in units in the last place of the reference (or of `least`, if that is larger)."""
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        spacing = np.spacing(
            np.maximum(np.where(np.isfinite(rounded), np.abs(rounded), 1), least).astype(dtype)
        )
        error = np.abs(got.astype(want.dtype) - want) / spacing
        # a result of infinity is within half an ulp when the reference rounds next to it
        return np.where(same, np.minimum(error, 0.5), np.where(np.isnan(error), np.inf, error))


def _log(low, high):
    return lambda rng, n: np.exp(rng.uniform(np.log(low), np.log(high), n))


def _signed(low, high):
    return lambda rng, n: _log(low, high)(rng, n) * rng.choice([-1, 1], n)


def _uniform(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


LEAST = {"f32": 1e-44, "f64": 1e-322}
MOST = {"f32": 3e38, "f64": 1e308}


def samples(*pairs):
    """{kind: samplers}; each argument is a sampler for both, or a pair (float32's, float64's)."""
    return {
        kind: [p[index] if isinstance(p, tuple) else p for p in pairs]
        for index, kind in enumerate(KINDS)
    }


def _lgamma(x):
    return np.inf if (x <= 0 and x == np.floor(x)) or x > 1e305 else math.lgamma(x)


EVERYWHERE = samples((_signed(1e-44, 3e38), _signed(1e-322, 1e308)), _signed(0.1, 10))
POSITIVE = samples((_log(1e-44, 3e38), _log(1e-322, 1e308)), _log(0.5, 2), _log(0.9999, 1.0001))
EXPONENTS = samples((_uniform(-104, 89), _uniform(-746, 710)), _uniform(-1, 1), _signed(1e-8, 1.0))

# name: (reference on wider floats, sampled arguments)
EXPONENTIAL = {
    "exp": (np.exp, EXPONENTS),
    "exp_down": (np.exp, samples((_uniform(-104, 0), _uniform(-746, 0)), _uniform(-1, 0))),
    "exp2": (np.exp2, samples((_uniform(-150, 128), _uniform(-1075, 1024)), _uniform(-1, 1))),
    "expm1": (np.expm1, EXPONENTS),
    "log": (np.log, POSITIVE),
    "log2": (np.log2, POSITIVE),
    "log10": (np.log10, POSITIVE),
    "log1p": (np.log1p, samples(_log(1e-10, 1e10), _uniform(-1, 1), _signed(1e-8, 0.5))),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), EXPONENTS),
    "tanh": (np.tanh, samples(_signed(1e-5, 20), (_signed(1e-40, 1), _signed(1e-320, 1)))),
    "sinh": (np.sinh, EXPONENTS),
    "cosh": (np.cosh, EXPONENTS),
    "asinh": (np.arcsinh, EVERYWHERE),
    "acosh": (np.arccosh, samples(_log(1, 1e30), _uniform(1, 2), _uniform(1, 1.001))),
    "atanh": (np.arctanh, samples(_uniform(-1, 1), _signed(1e-10, 1))),
    "cbrt": (np.cbrt, EVERYWHERE),
    "sqrt": (np.sqrt, POSITIVE),
    "rsqrt": (lambda x: 1 / np.sqrt(x), POSITIVE),
}
ANGLES = samples(_signed(1e-6, 100), _signed(1, 3e4), (_signed(1e5, 3e38), _signed(1e5, 1e308)))
UNIT = samples(_uniform(-1, 1), _signed(1e-10, 1))
TRIGONOMETRIC = {
    "sin": (np.sin, ANGLES),
    "cos": (np.cos, ANGLES),
    "tan": (np.tan, ANGLES),
    "asin": (np.arcsin, UNIT),
    "acos": (np.arccos, UNIT),
    "atan": (np.arctan, EVERYWHERE),
}


def _giles(x):
    """Giles's polynomials in wider arithmetic, of the square as the narrower type rounds it."""
    narrow = np.float32 if x.dtype == np.float64 else np.float64
    coefficients = {k: np.array(c, narrow) for k, c in giles.TABLES[narrow].items()}
    w = -np.log1p(-(np.square(x.astype(narrow)).astype(x.dtype)))
    root = np.sqrt(w)
    polynomial = np.polynomial.polynomial.polyval
    if narrow is np.float32:
        y = np.where(w < 5, polynomial(w - 2.5, coefficients["i"]), 0)
        y = np.where(w < 5, y, polynomial(root - 3, coefficients["j"]))
    else:
        y = np.where(w < 16, polynomial(root - 3.25, coefficients["j"]), 0)
        y = np.where(w < 16, y, polynomial(root - 5, coefficients["k"]))
        y = np.where(w < 6.25, polynomial(w - 3.125, coefficients["i"]), y)
    return x * np.where(w == np.inf, w, y)


# SciPy's erfc and gammaln lose digits where the C library's do not
erf, erfc, lgamma = (np.vectorize(f, otypes=[float]) for f in (math.erf, math.erfc, _lgamma))
SPECIAL = {
    "erf": (erf, samples(_signed(1e-6, 6), _uniform(-2, 2))),
    "erfc": (erfc, samples((_uniform(-4, 10), _uniform(-6, 26)), _uniform(-1, 1))),
    "erf_inv": (
        lambda x: np.copysign(scipy.special.erfinv(x), x),
        samples(_uniform(-1, 1), _signed(1e-10, 1)),
    ),
    "lgamma": (lgamma, samples(_log(1e-6, 1e30), _uniform(0, 4))),
    "digamma": (scipy.special.psi, samples(_log(1e-6, 1e30), _uniform(0, 4))),
}
GILES = {"erf_inv_giles": (_giles, samples(_uniform(-1, 1), _signed(1e-10, 1)))}
TABLE = EXPONENTIAL | TRIGONOMETRIC | SPECIAL | GILES
# errors measured against max(1, |result|): digamma's zero lies between numbers, and the reference
# of lgamma for float64 is no better near its zeros
AGAINST_ONE = {("digamma", "f32"), ("digamma", "f64"), ("lgamma", "f64")}
REFERENCE_ERROR = 5  # of SciPy's own float64 special functions, in ulp

SPECIAL_VALUES = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1e30, -1e30, 3.0, -3.0]
)


def kind_of(text):
    return "f32" if text == "tables" else text


@pytest.fixture(scope="module")
def programs(queue):
    cache = {}

    def get(text, width):
        kind, looks_up = kind_of(text), text == "tables"
        if looks_up and not devices.default_device().profile.looks_up:
            pytest.skip("no tables on this device")
        if (text, width) not in cache:
            texts = [f"{name}_{kind}x{width}(a)" for name in TABLE]
            cache[text, width] = Program(queue, KINDS[kind], width, texts, looks_up)
        return cache[text, width]

    return get


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", TABLE)
def test_error_is_within_its_bound(programs, name, text, width):
    reference, arguments = TABLE[name]
    kind = kind_of(text)
    dtype, rng = KINDS[kind], np.random.default_rng(3)
    n = 20_000 if width > 1 else 2_000
    x = np.concatenate([draw(rng, n) for draw in arguments[kind]]).astype(dtype)
    got = programs(text, width)(list(TABLE).index(name), x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(wide(kind, name)))
    error = ulps(got, want, dtype, least=float((name, kind) in AGAINST_ONE))
    worst = int(np.argmax(error))
    bound = mathlib.BOUNDS[name][kind == "f64"]
    bound += REFERENCE_ERROR if name in SPECIAL and kind == "f64" else 0
    assert error[worst] <= bound, f"{name}({x[worst]!r}) = {got[worst]!r}, not {want[worst]!r}"


# at 0 and on the negative axis: name: {x: value}, where it is not the reference's
POLES = {
    "digamma": dict.fromkeys((0.0, -1.0, -2.0, -3.0, -1e30), np.nan),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", TABLE)
def test_special_values(programs, name, text):
    reference, _ = TABLE[name]
    kind = kind_of(text)
    ends = np.finfo(KINDS[kind])
    ends = np.array([ends.max, ends.tiny, ends.smallest_subnormal, ends.eps])
    x = np.concatenate([SPECIAL_VALUES, ends, -ends]).astype(KINDS[kind])
    x = -np.abs(x) if name == "exp_down" else x
    got = programs(text, 16)(list(TABLE).index(name), x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(wide(kind, name))).astype(x.dtype)
    for at, value in POLES.get(name, {}).items():
        want[x == x.dtype.type(at)] = value
    np.testing.assert_allclose(got, want, rtol=4e-6)
    zero = (want == 0) & (got == 0)
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


PAYLOADS = {
    "f32": np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7FC007A2, 0x7FABCDEF] * 4, np.uint32),
    "f64": np.array([0x7FF80000000007A2, 2**64 - 1, 2**63 - 1, 0x7FFC000000000FFF] * 4, np.uint64),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", TABLE)
def test_a_nan_stays_one_whatever_its_bits(programs, name, text):
    x = PAYLOADS[kind_of(text)].view(KINDS[kind_of(text)])
    for width in WIDTHS:
        assert np.isnan(programs(text, width)(list(TABLE).index(name), x)).all()


HAS = frozenset({"avx512f", "avx512vl"})


@pytest.mark.parametrize(
    "profile, looks_up",
    [
        (AVX512.with_(features=HAS), True),
        (AVX512.with_(features=HAS - {"avx512vl"}), False),
        (AVX512.with_(features=HAS, driver="intel"), False),
        # there a stage is the kernel itself, which PoCL compiles without the attribute
        (AVX512.with_(features=HAS, schedule="gpu"), False),
        (AVX2, False),
    ],
    ids=["pocl", "without lengths", "intel", "gpu schedule", "avx2"],
)
def test_tables_only_where_compiler_and_processor_have_them(profile, looks_up):
    b = graph.Builder()
    x = b.input((64, 32), np.float32)
    plan = make_plan(b.graph([b.map("exp", x)]), profile)
    assert any("__builtin_ia32_" in p.source for p in plan.programs) == looks_up


@pytest.mark.parametrize("name", [name for name in tables.TEMPLATES if name in TABLE])
def test_tables_give_the_same_bits_in_all_widths(programs, name):
    rng = np.random.default_rng(6)
    x = np.concatenate([draw(rng, 2000) for draw in TABLE[name][1]["f32"]])
    x = np.concatenate([x, SPECIAL_VALUES, -x]).astype(np.float32)
    want = programs("tables", 16)(list(TABLE).index(name), x)
    for width in (1, 2, 4, 8):
        got = programs("tables", width)(list(TABLE).index(name), x)
        np.testing.assert_array_equal(got.view(np.uint32), want.view(np.uint32))


@pytest.mark.parametrize("kind", KINDS)
def test_tanh_is_one_far_out(programs, kind):
    x = np.geomspace(10 if kind == "f32" else 20, 1e30, 64).astype(KINDS[kind])
    for width in WIDTHS:
        for sign in (1, -1):
            got = programs(kind, width)(list(TABLE).index("tanh"), sign * x)
            np.testing.assert_array_equal(got, np.full_like(x, sign))


@pytest.mark.parametrize("name", ("lgamma", "digamma"))
@pytest.mark.parametrize("kind", KINDS)
def test_reflected_arguments(programs, name, kind):
    """Near a pole or a zero on the negative axis the terms are larger than the result."""
    x = np.random.default_rng(4).uniform(-6, 0, 4000)
    x = x[np.abs(x - np.rint(x)) > 0.01].astype(KINDS[kind])
    got = programs(kind, 16)(list(TABLE).index(name), x)
    tolerance = 100 * np.finfo(x.dtype).eps
    np.testing.assert_allclose(got, TABLE[name][0](x.astype(float)), tolerance, tolerance)


PAIRS = {
    "atan2": np.arctan2,
    "pow": np.power,
    "logaddexp": np.logaddexp,
    "max": np.maximum,
    "min": np.minimum,
    "nextafter": np.nextafter,
    "rem": np.fmod,
}


@pytest.fixture(scope="module", params=[(k, w) for k in KINDS for w in WIDTHS])
def pair_program(request, queue):
    kind, width = request.param
    at = f"{kind}x{width}"
    texts = [f"{name}_{at}(a, b)" for name in PAIRS]
    texts.append(f"rem_bits_{at}(abs_{at}(a), abs_{at}(b))")  # without fused multiply-add, it alone
    return kind, Program(queue, KINDS[kind], width, texts)


def test_functions_of_two_arguments(pair_program):
    kind, program = pair_program
    dtype, rng = KINDS[kind], np.random.default_rng(5)
    x = _signed(1e-3, 1e3)(rng, 4000).astype(dtype)
    y = _signed(1e-3, 10)(rng, 4000).astype(dtype)
    for k, (name, reference) in enumerate(PAIRS.items()):
        a = np.abs(x) if name == "pow" else x
        got = program(k, a, y)
        exact = name in ("max", "min", "nextafter", "rem")
        with np.errstate(all="ignore"):
            want = reference(*(v.astype(dtype if exact else wide(kind)) for v in (a, y)))
        if exact:
            np.testing.assert_array_equal(got, want, name)
            continue
        least = 1.0 if name == "logaddexp" else 0.0
        error = ulps(got, want, dtype, least)
        k = int(np.argmax(error))
        bound = mathlib.BOUNDS[name][kind == "f64"]
        assert error[k] <= bound, f"{name}({a[k]!r}, {y[k]!r}) = {got[k]!r}, not {want[k]!r}"


def test_special_values_of_two_arguments(pair_program):
    kind, program = pair_program
    x, y = (v.ravel().astype(KINDS[kind]) for v in np.meshgrid(SPECIAL_VALUES, SPECIAL_VALUES))
    for k, (name, reference) in enumerate(PAIRS.items()):
        with np.errstate(all="ignore"):
            want = reference(x, y)
        got = program(k, x, y)
        np.testing.assert_allclose(got, want, 4e-6, 1e-300, err_msg=name)
        if name in ("atan2", "pow", "nextafter", "rem"):
            zero = (want == 0) & (got == 0)
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]), name)


def test_remainders_are_exact_where_quotients_round(pair_program):
    """Beside multiples of the divisor, where the rounded quotient may be the next whole number, and
    for quotients too large to be whole numbers of the type.
    """
    kind, program = pair_program
    dtype, rng = KINDS[kind], np.random.default_rng(7)
    bits = np.finfo(dtype).nmant + 1
    y = rng.uniform(0.1, 10, 6000).astype(dtype)
    whole = np.floor(np.exp2(rng.uniform(0, bits + 6, y.size)))
    x = (whole * y.astype(wide(kind))).astype(dtype)
    near = np.concatenate([x, np.nextafter(x, x * 0), np.nextafter(x, x * np.inf), -x])
    got = program(list(PAIRS).index("rem"), near, np.tile(y, 4))
    np.testing.assert_array_equal(got, np.fmod(near, np.tile(y, 4)))


def test_remainders_are_exact_for_numbers_of_all_sizes(pair_program):
    kind, program = pair_program
    dtype, rng = KINDS[kind], np.random.default_rng(8)
    patterns = np.uint32 if kind == "f32" else np.uint64
    x, y = (
        np.append(
            rng.integers(0, np.iinfo(patterns).max, 4000, patterns, True).view(dtype),
            rng.integers(0, 40, 400).astype(patterns).view(dtype)
            * dtype.type(-1) ** k,  # subnormal
        )
        for k in (0, 1)
    )
    with np.errstate(all="ignore"):
        y[:500] = x[:500] / 2 ** rng.integers(0, 62, 500)  # near multiples
        np.testing.assert_array_equal(program(list(PAIRS).index("rem"), x, y), np.fmod(x, y))
        x, y = abs(x), abs(y)
        np.testing.assert_array_equal(program(len(PAIRS), x, y), np.fmod(x, y))


def test_pow_is_right_where_its_result_is_large(pair_program):
    kind, program = pair_program
    rng, limit = np.random.default_rng(6), 120 if kind == "f32" else 1000
    x = np.exp2(rng.uniform(-8, 8, 8000)).astype(KINDS[kind])
    y = (rng.uniform(-limit, limit, 8000) / np.log2(x)).astype(KINDS[kind])
    got = program(list(PAIRS).index("pow"), x, y)
    want = np.power(x.astype(wide(kind)), y.astype(wide(kind)))
    assert ulps(got, want, KINDS[kind]).max() <= mathlib.BOUNDS["pow"][kind == "f64"]


ROUNDINGS = {
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "round": lambda x: np.copysign(np.trunc(np.abs(x) + 0.5 * (np.abs(x) % 1 >= 0.5)), x),
    "abs": np.abs,
    "sign": np.sign,
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_roundings_are_exact(queue, kind, width):
    dtype = KINDS[kind]
    texts = [f"{name}_{kind}x{width}(a)" for name in ROUNDINGS]
    program = Program(queue, dtype, width, texts)
    halves = np.arange(-40, 40) / 4
    edges = [0.49999997, -0.49999997, 0.49999999999999994, 8388607.5, 4194303.5, 2.0**52 + 1]
    x = np.concatenate([halves, edges, SPECIAL_VALUES]).astype(dtype)
    for k, (name, reference) in enumerate(ROUNDINGS.items()):
        got = program(k, x)
        with np.errstate(all="ignore"):
            want = reference(x).astype(dtype)
        np.testing.assert_array_equal(got, want, name)
        number = ~np.isnan(x) & (want == 0) & (name != "sign")
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]), name)


def test_text_is_canonical_and_complete():
    functions = [("sin", np.dtype(np.float32), 16), ("exp", np.dtype(np.float32), 16)]
    text = mathlib.source(functions)
    assert text == mathlib.source(reversed(functions))
    assert text.index("any_i32x16(") < text.index("trig_reduce_f32x16(")
    assert mathlib.needed("y = exp_f32x16(x) + my_f32x16(x)") == {functions[1]}
    assert mathlib.source([]) == ""
    with pytest.raises(KeyError, match="exp is defined for"):
        mathlib.source([("exp", np.dtype(np.int32), 1)])


@pytest.mark.parametrize("width", WIDTHS)
def test_threefry_folds_and_mad(queue, width):
    dtype = np.dtype(np.uint32)
    lanes = scalar_text.register_type(dtype, width)
    folds = {"add": np.add, "mul": np.multiply, "max": np.maximum, "xor": np.bitwise_xor}
    texts = [f"threefry2x32_u32x{width}(a, b, a, b, &r)"]
    texts += [f"({lanes})(fold_{name}_u32x{width}(a))" for name in folds]
    masks = f"any_u32x{width}(a) + 2 * all_u32x{width}(a)"
    texts += [f"mad_u32x{width}(a, b, a)", f"({lanes})({masks})"]
    program = Program(queue, dtype, width, texts)
    x, y = np.random.default_rng(7).integers(0, 2**32, (2, 64), dtype)
    first, _ = threefry2x32(x, y, x, y)
    np.testing.assert_array_equal(program(0, x, y), first)
    for k, reference in enumerate(folds.values()):
        want = reference.reduce(x.reshape(-1, width), axis=1, dtype=dtype)
        np.testing.assert_array_equal(program(1 + k, x, y)[::width], want)
    np.testing.assert_array_equal(program(5, x, y), x * y + x)
    mask = np.where(np.arange(64) < 20, 0, np.where(np.arange(64) < 40, 2**32 - 1, x & 0))
    mask[33] = 0
    rows = mask.astype(bool).reshape(-1, width)
    got = program(6, mask.astype(dtype), y)[::width]
    np.testing.assert_array_equal(got, rows.any(1) + 2 * rows.all(1))


@pytest.mark.parametrize("width", [4, 8, 16])
def test_registers_of_strided_loads_end_where_the_elements_do(width):
    for step in strided.steps(width):
        starts = [int(at) for at in re.findall(r"\(p \+ (\d+)\)", strided.strided(width, step))]
        assert len(starts) == step and min(starts) == 0
        assert max(starts) + width == step * (width - 1) + 1
