"""Array: immutable, with NumPy and DLPack exchange, on the host or pending on a device."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import fx
from fx import array, avals, core
from fx.array import Array
from fx.calls import Call
from lowering.graph import Builder
from lowering.plan import Buffer, BufferRef, Launch, Plan, Program

F4 = np.dtype(np.float32)
X = np.arange(6, dtype=np.float32).reshape(2, 3)
DTYPES = [np.bool_, np.int8, np.uint32, np.float16, np.float32, np.complex64, ml_dtypes.bfloat16]


def of(x, weak=False):
    return array.from_numpy(np.asarray(x), weak)


@pytest.fixture
def device():
    """The default OpenCL device."""
    found = array.default_device()
    if found.interpreter:
        pytest.skip("needs an OpenCL driver")
    return found


SOURCE = """
kernel void twice(global const float *x, global float *out) {
  int i = get_global_id(0); out[i] = 2 * x[i]; }
kernel void bump(global float *x) { x[get_global_id(0)] += 1; }
"""


def call_of(device, kernel="twice", shape=(2, 3), alias=None):
    """A jitted function by hand: 2 * x, or x + 1 in the memory of a donated x."""
    n = int(np.prod(shape))
    buffers = (Buffer(0, "input", 4 * n, shape, F4), Buffer(1, "output", 4 * n, shape, F4, alias))
    refs = (BufferRef(0), BufferRef(1)) if kernel == "twice" else (BufferRef(1),)
    plan = Plan((0,), (1,), buffers, 0, (Program(SOURCE),), (Launch(0, kernel, (n,), refs),))
    aval = avals.ShapedArray(shape, F4)
    return Call(array.bind(plan.check(), device), device, [aval], [aval])


# ---------------------------------------------------------------- on the host


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_properties_and_round_trips(dtype):
    a = X.astype(dtype)
    x = of(a)
    assert (x.shape, x.dtype, x.ndim, x.size) == (a.shape, a.dtype, 2, 6)
    assert (x.itemsize, x.nbytes, len(x)) == (a.itemsize, a.nbytes, 2)
    assert x.aval == avals.ShapedArray(a.shape, a.dtype)
    np.testing.assert_array_equal(np.asarray(x), a)
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x), copy.copy(x), x.copy()):
        assert y.dtype == a.dtype
        np.testing.assert_array_equal(np.asarray(y), a)
        assert not np.shares_memory(np.asarray(y), a)
    assert x.tolist() == a.tolist()


def test_numpy_sees_it_read_only_and_without_a_copy():
    a = X.copy()
    view = np.asarray(of(a))
    assert np.shares_memory(view, a)
    assert not view.flags.writeable
    assert np.array(of(a)).flags.writeable
    assert np.asarray(of(a), np.int32).dtype == np.int32
    with pytest.raises(ValueError, match="a copy is needed"):
        np.asarray(of(a), np.int32, copy=False)
    assert np.add(of(a), 1).dtype == np.float32


@pytest.mark.parametrize(
    "value, weak, text",
    [
        ([1.0, 2.0], False, "Array([1., 2.], dtype=float32)"),
        (1.5, True, "Array(1.5, dtype=float32, weak_type=True)"),
        (np.zeros((0, 3)), False, "Array([], shape=(0, 3), dtype=float32)"),
        ([[1, 2], [3, 4]], False, "Array([[1., 2.],\n       [3., 4.]], dtype=float32)"),
    ],
)
def test_repr(value, weak, text):
    assert repr(of(np.asarray(value, np.float32), weak)) == text


def test_repr_breaks_before_the_dtype_where_the_line_is_full():
    text = repr(of(np.arange(17, dtype=np.float32) + 0.5))
    assert all(len(line) <= 75 for line in text.splitlines())
    assert repr(of(np.zeros(2, avals.float0))).endswith("dtype=float0)")
    assert repr(of(np.ones(2, ml_dtypes.bfloat16))) == "Array([1, 1], dtype=bfloat16)"


def test_scalars():
    one, five = of(np.float32(1.5)), of(np.int32(5))
    assert (float(one), int(one), complex(one), bool(one)) == (1.5, 1, 1.5 + 0j, True)
    assert operator.index(five) == 5
    assert [10, 20, 30, 40, 50, 60][five] == 60
    assert isinstance(five.item(), int)
    assert f"{one:.3f}" == "1.500"
    assert str(of([1, 2])) == "[1 2]"
    for convert in (int, float, complex):
        with pytest.raises(TypeError, match="Only scalar arrays can be converted"):
            convert(of([1.0, 2.0]))
    with pytest.raises(TypeError, match="Only integer scalar arrays"):
        operator.index(one)
    with pytest.raises(ValueError, match="more than one element is ambiguous"):
        bool(of([1, 2]))
    with pytest.raises(ValueError, match="empty array is ambiguous"):
        bool(of([]))
    assert bool(of([[3]]))


def test_iteration():
    rows = list(of(X))
    assert [type(r) for r in rows] == [Array, Array]
    np.testing.assert_array_equal(np.asarray(rows[1]), X[1])
    assert [float(v) for v in rows[0]] == [0, 1, 2]
    assert all(v.shape == () for v in rows[0])
    with pytest.raises(TypeError, match="0-d"):
        iter(of(1.0))
    with pytest.raises(TypeError, match="unsized"):
        len(of(1.0))


def test_immutable_and_unhashable():
    x = of(X)
    with pytest.raises(TypeError, match=r"x\.at\[idx\]\.set"):
        x[0] = 1
    with pytest.raises(TypeError, match="immutable"):
        del x[0]
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(TypeError, match="unhashable"):
        fx.make_jaxpr(lambda x: {x: x}[x])(x)


def test_tracers_are_instances_and_nothing_else():
    trace = core.JaxprTrace(core.EVAL)
    assert isinstance(trace.new_arg(avals.ShapedArray((), F4)), Array)
    assert isinstance(of(1.0), Array)
    assert not isinstance(X, Array)


def test_delete():
    x = of(X)
    x.delete()
    assert x.is_deleted()
    assert x.shape == (2, 3)
    assert "deleted" in repr(x)
    for use in (x.block_until_ready, x.tolist, x.copy_to_host_async):
        with pytest.raises(RuntimeError, match=r"deleted with shape=float32\[2,3\]"):
            use()


def test_dlpack():
    a = X.copy()
    x = of(a)
    assert np.shares_memory(np.from_dlpack(x), a)
    assert not np.from_dlpack(x).flags.writeable and x._numpy().flags.writeable
    assert x.__dlpack_device__() == (1, 0)
    y = array.from_dlpack(a)
    assert np.shares_memory(np.asarray(y), a)
    assert not np.shares_memory(np.asarray(array.from_dlpack(a, copy=True)), a)
    assert array.from_dlpack(x) is x
    assert array.from_dlpack(a.astype(np.float64)).dtype == np.float32
    with pytest.raises(TypeError, match="not on the host"):
        array.from_dlpack(type("Cuda", (), {"__dlpack_device__": lambda self: (2, 0)})())


@pytest.mark.parametrize(
    "value, dtype",
    [(1, np.int32), (1.0, np.float32), (True, np.bool_), (1j, np.complex64),
     (np.float64(2), np.float32), (np.zeros(2, np.int64), np.int32)],
)  # fmt: skip
def test_to_numpy_is_canonical(value, dtype):
    assert array.to_numpy(value).dtype == dtype


# ---------------------------------------------------------------- on a device


@pytest.mark.driver
@pytest.mark.parametrize("kind", ["shared", "explicit"])
def test_call_takes_arrays_of_any_kind(device, kind):
    """Arrays, results of other calls, NumPy arrays in any order and dtype; results may be read."""
    where = device.as_explicit() if kind == "explicit" and device.shared else device
    call = call_of(where)
    for x in (of(X), X, np.asfortranarray(X), X.astype(np.float64), call([of(X)])[0]):
        (y,) = call([x])
        assert y.device is where
        assert y.shape == (2, 3)
        np.testing.assert_array_equal(np.asarray(y), 2 * np.asarray(x, F4))
    assert y.block_until_ready() is y
    assert y.is_ready()
    assert y.devices() == {where}


@pytest.mark.driver
def test_writing_to_an_argument_after_the_call_does_not_matter(device):
    for n in (1000, 1 << 20):
        call, a = call_of(device, shape=(n,)), np.ones(n, F4)
        (y,) = call([a])
        a[:] = 7
        assert (np.asarray(y) == 2).all()


@pytest.mark.driver
def test_results_are_views_of_device_memory(device):
    if not device.shared:
        pytest.skip("the device has memory of its own")
    (y,) = call_of(device)([of(X)])
    assert np.shares_memory(np.asarray(y), np.asarray(y))
    view = np.asarray(y)[1]
    del y
    gc.collect()
    for _ in range(10):
        call_of(device)([of(X + 9)])
    np.testing.assert_array_equal(view, 2 * X[1])


@pytest.mark.driver
@pytest.mark.parametrize("kind", ["host", "result", "view taken", "host view taken", "base"])
def test_donation_reuses_memory_only_if_nobody_else_sees_it(device, kind):
    call = call_of(device, "bump", alias=0)
    x = call_of(device)([of(X)])[0] if kind in ("result", "view taken") else of(X.copy())
    if kind == "base":
        whole = np.ones((4, 3), F4)
        x = of(whole[:2])
    before = np.array(x)
    view = np.asarray(x) if "view" in kind else None
    store = x._storage(device)
    number = id(store)
    del store
    (y,) = call([x], donated={0})
    np.testing.assert_array_equal(np.asarray(y), before + 1)
    assert x.is_deleted()
    with pytest.raises(RuntimeError, match="donated"):
        np.asarray(x)
    if view is not None:
        np.testing.assert_array_equal(view, before)
    if kind == "base":
        assert (whole == 1).all()
    assert (id(y._store) == number) == (kind in ("host", "result"))


@pytest.mark.driver
def test_deleting_a_result_frees_its_memory(device):
    (y,) = call_of(device, shape=(1 << 16,))([np.ones(1 << 16, F4)])
    live = array.counters().live_bytes
    y.delete()
    assert array.counters().live_bytes == live - (1 << 18)


@pytest.mark.driver
def test_put_moves_between_devices(device):
    other = array.find_device("interpreter")
    x = array.put(X, other)
    assert x.device is other
    back = array.put(x, device)
    np.testing.assert_array_equal(np.asarray(call_of(device)([back])[0]), 2 * X)
    assert array.put(x, other) is x
    assert array.put(3).weak_type


def test_the_interpreter_runs_graphs_without_a_driver():
    b = Builder()
    x = b.input((2, 3), F4)
    graph = b.graph([b.map("add", x, x), x])
    where = array.find_device("interpreter")
    aval = avals.ShapedArray((2, 3), F4)
    call = Call(array.bind(graph, where), where, [aval], [aval, aval])
    y, z = call([of(X)])
    np.testing.assert_array_equal(np.asarray(y), 2 * X)
    np.testing.assert_array_equal(np.asarray(z), X)
    np.testing.assert_array_equal(np.asarray(call([y])[0]), 4 * X)


def test_default_device_can_be_set():
    try:
        assert array.set_default_device("interpreter").interpreter
        assert of(X).device.interpreter
    finally:
        array.set_default_device(None)


def test_the_default_device_of_the_process_is_listed_first(monkeypatch):
    there = array.list_devices()
    assert there[0] is array.default_device() and len(set(there)) == len(there)
    monkeypatch.setenv("FX_DEVICE", "interpreter")
    found = array.list_devices()
    assert found[0].interpreter and found[1:] == [d for d in there if not d.interpreter]


def test_importing_arrays_loads_no_driver():
    text = (
        "import sys, fx.array; print('pyopencl' in sys.modules, 'lowering.runtime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "False False", done.stdout + done.stderr
