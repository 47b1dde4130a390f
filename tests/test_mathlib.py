"""Each elementary function, in kernels of one and of sixteen lanes, against wider arithmetic.

The references are NumPy's in float64 (for float32) and longdouble (for float64); special functions
have SciPy's float64. A program holds many functions, chosen by an argument: a build costs far more.
"""

import numpy as np
import pyopencl as cl
import pytest

from lowering import mathlib, scalar_text

KINDS = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
WIDTHS = (1, 16)


@pytest.fixture(scope="module")
def queue():
    platform = next((p for p in cl.get_platforms() if p.get_devices()), None)
    if platform is None:
        pytest.skip("no OpenCL device")
    return cl.CommandQueue(cl.Context(platform.get_devices()[:1]))


class Program:
    """One kernel with a case per function of the form out = f(x, y); arrays go in and come out."""

    def __init__(self, queue, dtype, width, cases):
        self.queue, self.width, self.cases = queue, width, list(cases)
        register = scalar_text.register_type(dtype, width)
        lines = [f"    case {i}: r = {text}; break;" for i, text in enumerate(self.cases)]
        load = [scalar_text.load(dtype, width, f"{p} + i * {width}") for p in "xy"]
        body = [
            f"__kernel void run(__global const {scalar_text.memory_type(dtype)} *x,",
            f"    __global const {scalar_text.memory_type(dtype)} *y,",
            f"    __global {scalar_text.memory_type(dtype)} *out, int which) {{",
            "  long i = get_global_id(0);",
            f"  {register} a = {load[0]}, b = {load[1]}, r = a;",
            "  switch (which) {",
            *lines,
            "  }",
            f"  {scalar_text.store(dtype, width, f'out + i * {width}', 'r')};",
            "}",
        ]
        text = "\n".join(body)
        functions = mathlib.source(mathlib.needed(text))
        prelude = scalar_text.prelude([width], [dtype, np.float64])
        self.kernel = cl.Kernel(
            cl.Program(queue.context, prelude + functions + text).build(["-w"]), "run"
        )

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


def wide(kind):
    return np.float64 if kind == "f32" else np.longdouble


def ulps(got, want, dtype):
    """Error in units in the last place of the reference, which has more digits."""
    with np.errstate(all="ignore"):
        rounded = want.astype(dtype)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
        spacing = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, 1)).astype(dtype))
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


EVERYWHERE = samples((_signed(1e-44, 3e38), _signed(1e-322, 1e308)), _signed(0.1, 10))
POSITIVE = samples((_log(1e-44, 3e38), _log(1e-322, 1e308)), _log(0.5, 2), _log(0.9999, 1.0001))
EXPONENTS = samples((_uniform(-104, 89), _uniform(-746, 710)), _uniform(-1, 1), _signed(1e-8, 1.0))

# name: (reference on wider floats, sampled arguments)
EXPONENTIAL = {
    "exp": (np.exp, EXPONENTS),
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
TABLE = EXPONENTIAL

SPECIAL_VALUES = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1e30, -1e30, 3.0, -3.0]
)


@pytest.fixture(scope="module")
def programs(queue):
    cache = {}

    def get(kind, width):
        if (kind, width) not in cache:
            texts = [f"{name}_{kind}x{width}(a)" for name in TABLE]
            cache[kind, width] = Program(queue, KINDS[kind], width, texts)
        return cache[kind, width]

    return get


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TABLE)
def test_error_is_within_its_bound(programs, name, kind, width):
    reference, arguments = TABLE[name]
    dtype, rng = KINDS[kind], np.random.default_rng(3)
    n = 20_000 if width > 1 else 2_000
    x = np.concatenate([draw(rng, n) for draw in arguments[kind]]).astype(dtype)
    got = programs(kind, width)(list(TABLE).index(name), x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(wide(kind)))
    error = ulps(got, want, dtype)
    worst = int(np.argmax(error))
    bound = mathlib.BOUNDS[name][kind == "f64"]
    assert error[worst] <= bound, f"{name}({x[worst]!r}) = {got[worst]!r}, not {want[worst]!r}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TABLE)
def test_special_values(programs, name, kind):
    reference, _ = TABLE[name]
    x = SPECIAL_VALUES.astype(KINDS[kind])
    got = programs(kind, 16)(list(TABLE).index(name), x)
    with np.errstate(all="ignore"):
        want = reference(x.astype(wide(kind))).astype(x.dtype)
    np.testing.assert_allclose(got, want, rtol=4e-6)
    zero = (want == 0) & (got == 0)
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))
