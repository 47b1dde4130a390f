"""Every scalar operation's OpenCL text against its NumPy meaning, in kernels of 1 and 16 lanes.

One program per width and group of operations holds all dtypes as cases of a switch; inputs are the
dtype's awkward values in all pairs. Elementary functions are tested by test_mathlib.
"""

import functools
import itertools

import ml_dtypes
import numpy as np
import plans
import pyopencl as cl
import pytest

from lowering import mathlib, scalar
from lowering.runtime import devices

pytestmark = pytest.mark.filterwarnings("ignore::pyopencl.CompilerWarning")  # Intel talks

BOOL = np.dtype(bool)
INTS = [np.dtype(f"{sign}int{bits}") for bits in (8, 16, 32, 64) for sign in ("", "u")]
FLOATS = [np.dtype(d) for d in ("float32", "float64", "float16", ml_dtypes.bfloat16)]
NUMBERS = INTS + FLOATS
EVERY = [BOOL, *NUMBERS]

GROUPS = {
    "arithmetic": [
        (op, dtype)
        for op in ("add", "sub", "mul", "div", "rem", "max", "min", "neg", "abs", "sign")
        for dtype in NUMBERS
    ],
    "bits": [
        (op, dtype)
        for op in ("and", "or", "xor", "not", "shl", "shr", "shrl", "popcount", "clz")
        for dtype in INTS
    ]
    + [(op, BOOL) for op in ("and", "or", "xor", "not", "add", "mul", "max", "min")]
    + [("mulhi", np.dtype(np.uint32))],
    "predicates": [(op, d) for op in ("eq", "ne", "lt", "le", "gt", "ge") for d in EVERY]
    + [(op, dtype) for op in ("is_finite", "is_nan") for dtype in FLOATS]
    + [("select", dtype) for dtype in EVERY],
    "rounding": [
        (op, dtype)
        for op in ("floor", "ceil", "round", "rint", "trunc", "nextafter", "sqrt")
        for dtype in FLOATS
    ],
    "convert": [("convert", pair) for pair in itertools.product(EVERY, EVERY)],
    "bitcast": [
        ("bitcast", pair)
        for pair in itertools.product(NUMBERS, NUMBERS)
        if pair[0].itemsize == pair[1].itemsize
    ],
}


def values(dtype):
    """The awkward values of a dtype."""
    if dtype == BOOL:
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        small = [0, 1, 2, 3, 5, 7, 8, 31, 33, 63, 64, 100]
        edges = [info.min, info.min + 1, info.max, info.max - 1, info.max // 3]
        negative = [-v for v in small if dtype.kind == "i"]
        return np.array(small + edges + negative, object).astype(dtype)
    numbers = [0.0, 1.0, 0.5, 1.5, 2.5, 3.3, 100.0, 127.5, 200.0, 255.9, 300.0, 7e4, 2.0**31]
    numbers += [2.0**32, 2.0**33, 2.0**63, 2.0**64, 1e-3, 6e-8, 1e-40, 1e30, np.inf, np.nan]
    with np.errstate(all="ignore"):
        return np.array([*numbers, *(-n for n in numbers)]).astype(dtype)


def operands(op, dtype):
    """The arrays an operation is tried on: all pairs of awkward values."""
    a, b = (v.ravel() for v in np.meshgrid(values(dtype), values(dtype)))
    if op == "select":
        return [np.arange(a.size) % 3 == 0, a, b]
    if op == "exp_down":
        return [-np.abs(a)]
    return [a, b][: scalar.OPS[op].arity]


def signature(op, given):
    """(operand dtypes, result dtype) of a case."""
    if op in ("convert", "bitcast"):
        return [given[0]], given[1]
    dtypes = [BOOL, given, given] if op == "select" else [given] * scalar.OPS[op].arity
    return dtypes, scalar.result_dtype(op, dtypes)


@pytest.fixture(scope="module")
def queue():
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("no OpenCL device")
    yield cl.CommandQueue(device.context)


def build(queue, width, cases):
    """One kernel, run(x, y, z, out, which), with a case for each (operation, dtypes)."""
    lines = []
    for index, (op, given) in enumerate(cases):
        dtypes, out = signature(op, given)
        loads = []
        for name, d in zip("xyz", dtypes):
            pointer = f"(__global const {scalar.memory_type(d)} *){name} + i * {width}"
            register = scalar.register_type(d, width)
            loads.append(f"{register} {name}_ = {scalar.load(d, width, pointer)};")
        value = scalar.text(op, dtypes, out, width, [f"{n}_" for n in "xyz"[: len(dtypes)]])
        pointer = f"(__global {scalar.memory_type(out)} *)out + i * {width}"
        register = scalar.register_type(out, width)
        store = scalar.store(out, width, pointer, "r")
        lines.append(
            f"case {index}: {{ {' '.join(loads)} {register} r = {value}; {store}; break; }}"
        )
    arguments = (
        "".join(f"__global const char *{n}, " for n in "xyz") + "__global char *out, int which"
    )
    body = "\n".join(
        [
            "static __attribute__((noinline, min_vector_width(512)))",  # as stages of plans are
            f"void item({arguments}, long i) {{",
            "switch (which) {",
            *lines,
            "}}",
            f"__kernel void run({arguments}) {{ item(x, y, z, out, which, get_global_id(0)); }}",
        ]
    )
    functions = mathlib.source(mathlib.needed(body))
    text = scalar.prelude([width], EVERY) + functions + body
    return plans.kernel(queue, text)


def run(queue, kernel, width, which, arrays, out_dtype):
    n = arrays[0].size
    pad = -n % 16
    arrays = [np.concatenate([a, np.ones(pad, a.dtype)]) for a in arrays]
    flags = cl.mem_flags.COPY_HOST_PTR
    buffers = [cl.Buffer(queue.context, flags, hostbuf=a.view(np.uint8)) for a in arrays]
    buffers += [buffers[0]] * (3 - len(buffers))
    result = np.zeros(n + pad, out_dtype)
    out = cl.Buffer(queue.context, 0, result.nbytes)
    kernel(queue, ((n + pad) // width,), None, *buffers, out, np.int32(which))
    cl.enqueue_copy(queue, result.view(np.uint8), out)
    return result[:n]


@functools.cache
def built(queue, group, width):
    return build(queue, width, GROUPS[group])


@pytest.mark.parametrize("width", (1, 16))
@pytest.mark.parametrize("group", GROUPS)
def test_text_means_what_numpy_says(queue, group, width):
    kernel = built(queue, group, width)
    for which, (op, given) in enumerate(GROUPS[group]):
        dtypes, out = signature(op, given)
        arrays = operands(op, dtypes[-1]) if len(dtypes) > 1 else [values(dtypes[0])]
        got = run(queue, kernel, width, which, arrays, out)
        want = scalar.numpy(op, *arrays, dtype=out)
        if want.dtype.kind not in "biu":
            with np.errstate(invalid="ignore"):  # signalling NaNs, of bitcasts
                got, want = got.astype(np.float64), want.astype(np.float64)
        np.testing.assert_array_equal(got, want, f"{op} of {given} in {width} lanes")


@pytest.mark.parametrize("dtype", EVERY, ids=str)
def test_constants_strides_and_widths(queue, dtype):
    """Literals, strided loads and spread scalars give the same elements at every width."""
    picked = values(dtype)[:: 1 if dtype == BOOL else 3]
    source, lines, at = np.tile(values(dtype), 80), [], 0
    want, memory = [], scalar.memory_type(dtype)
    for width in (1, 2, 4, 8, 16):
        for value in picked:
            lines.append((width, scalar.constant(value, dtype, width)))
            want.append(np.full(width, value))
        for stride in (0, 2, 3, 5, 8, -1):
            load = scalar.load_strided(dtype, width, "x + 20", stride)
            lines.append((width, load))
            want.append(source[20 + stride * np.arange(width)])
        lines.append((width, scalar.splat(dtype, width, scalar.load(dtype, 1, "x + 1"))))
        want.append(np.full(width, source[1]))
    stores = []
    for width, text in lines:
        stores.append(scalar.store(dtype, width, f"out + {at}", text) + ";")
        at += width
    body = f"__kernel void run(__global const {memory} *x, __global {memory} *out) {{\n"
    body += "\n".join(stores) + "\n}\n"
    text = scalar.prelude((1, 2, 4, 8, 16), [dtype]) + mathlib.source(mathlib.needed(body)) + body
    kernel = plans.kernel(queue, text)
    flags = cl.mem_flags.COPY_HOST_PTR
    x = cl.Buffer(queue.context, flags, hostbuf=source.view(np.uint8))
    got = np.zeros(at, dtype)
    out = cl.Buffer(queue.context, 0, got.nbytes)
    kernel(queue, (1,), None, x, out)
    cl.enqueue_copy(queue, got.view(np.uint8), out)
    want = np.concatenate(want).astype(dtype)
    np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))


def test_numpy_follows_xla_where_numpy_would_trap():
    x = np.array([7, -7, -(2**31), 5], np.int32)
    y = np.array([0, 2, -1, 0], np.int32)
    assert scalar.numpy("div", x, y).tolist() == [-1, -3, -(2**31), -1]
    assert scalar.numpy("rem", x, y).tolist() == [7, -1, 0, 5]
    n = np.array([32, -1, 1, 31], np.int32)
    assert scalar.numpy("shl", x, n).tolist() == [0, 0, 0, -(2**31)]
    assert scalar.numpy("shr", x, n).tolist() == [0, -1, -(2**30), 0]
    f = np.array([1e20, -1e20, np.nan, 300.0, -5.7], np.float32)
    assert scalar.numpy("convert", f, dtype=np.int8).tolist() == [127, -128, 0, 127, -5]
    assert scalar.numpy("convert", f, dtype=np.uint8).tolist() == [255, 0, 0, 255, 0]
    assert scalar.numpy("round", np.array([0.5, 1.5, -2.5], np.float32)).tolist() == [1, 2, -3]


def test_complex_has_numpy_meaning_and_no_text():
    z = np.array([1 + 2j, 0j], np.complex64)
    assert scalar.numpy("abs", z).dtype == np.float32
    assert scalar.numpy("sign", z)[1] == 0
    assert scalar.numpy("complex", z.real, z.imag).tolist() == z.tolist()
    assert scalar.numpy("log1p", z).dtype == np.complex64
    with pytest.raises(TypeError, match="complex"):
        scalar.text("add", [z.dtype] * 2, z.dtype, 1, ["a", "b"])


def test_every_operation_has_both_halves():
    for name, op in scalar.OPS.items():
        assert op.name == name and op.arity in (1, 2, 3) and scalar.cost(name) >= 0
    with pytest.raises(TypeError, match="exp"):
        scalar.text("exp", [np.dtype(np.int32)], np.int32, 1, ["a"])
    with pytest.raises(TypeError, match="result dtype"):
        scalar.result_dtype("convert", [BOOL])
