"""Small plans run in the calling thread: the bits of the queue, in order with what pends."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import array, lax
from lowering import loops
from lowering.runtime.direct import WAITS, DirectExecutable


@pytest.fixture
def device():
    found = array.default_device()
    if found.direct is None:
        pytest.skip("this driver has no device that runs kernels in the calling thread")
    return found


def executable(jitted, *args):
    return jitted.lower(*args).compile().runtime_executable()


def state(x):
    return lax.while_loop(lambda c: c[0] < 300, lambda c: (c[0] + 1, c[1] * 0.99 + x), (0, x))


PROGRAMS = {
    "elementwise": lambda x: fnp.exp(x) * x + 1,
    "softmax": fx.nn.softmax,
    "fold": lambda x: (x.sum(), fnp.argmax(x, -1), fnp.cumsum(x, -1)),
    "product": lambda x: x @ x.T,
    "while": lambda x: state(x[0, 0]),
    "scan": lambda x: lax.scan(lambda c, a: (fnp.tanh(c + a), c.sum()), x[0], x),
    "sort": lambda x: fnp.sort(x * 2, axis=-1) + 1,
    "update": lambda x: x.at[3].add(1.0),
    "tree": lambda x: {"a": x + 1, "b": [x * 2, (x - 1,)]},
}


def test_the_same_bits_as_on_the_queue(device, monkeypatch):
    x = fx.device_put(np.random.default_rng(0).standard_normal((12, 12)).astype(np.float32))
    here = {name: fx.jit(f)(x) for name, f in PROGRAMS.items()}
    kinds = {name: type(executable(fx.jit(f), x)) for name, f in PROGRAMS.items()}
    assert {name for name, kind in kinds.items() if kind is not DirectExecutable} == set()
    monkeypatch.setattr(device, "direct", None)
    fx.clear_caches()
    for name, f in PROGRAMS.items():
        queued = fx.jit(lambda x, f=f: f(x))(x)  # a new function: nothing kept with the jaxpr
        assert type(executable(fx.jit(f), x)) is not DirectExecutable
        for a, b in zip(fx.tree.leaves(here[name]), fx.tree.leaves(queued), strict=True):
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), name


def test_large_plans_keep_the_queue(device):
    x = fnp.zeros(1 << 20)
    assert type(executable(fx.jit(lambda x: x + 1), x)) is not DirectExecutable


def test_behind_pending_work_in_order(device):
    """A small call after a large one sees its results, waited for at first, queued later."""
    large = fx.jit(lambda x: fnp.sin(fnp.sin(fnp.sin(x))) * 0 + x + 1)
    small = fx.jit(lambda x: x[:4] * 2)
    x = fnp.zeros(1 << 21)
    for k in range(1, 2 * WAITS):
        x = large(x)
        got = small(x)
        if k % 7 == 0:
            assert got.tolist() == [2.0 * k] * 4
    assert small(x).tolist() == [2.0 * k] * 4


def test_a_block_is_not_reused_while_a_launch_reads_it(device):
    """The result of a small call that is dropped while a large one still reads it."""
    large = fx.jit(lambda big, a: fnp.sin(fnp.cos(fnp.sin(big))) * 0 + a[3])
    small = fx.jit(lambda a, k: a * 0 + k)
    a = fnp.zeros(16)
    big = fnp.ones(1 << 21)
    for k in range(1, 12):
        one = small(a, float(k))
        slow = large(big, one)
        del one
        small(a, -1.0).block_until_ready()
        assert float(slow[-1]) == k


def test_donation_takes_the_memory_over(device):
    step = fx.jit(lambda s, g: {k: v - g for k, v in s.items()}, donate_argnums=0)
    state = {"a": fnp.ones((4, 4)), "b": fnp.zeros(3)}
    for _ in range(3):
        old, state = state, step(state, 1.0)
    assert old["a"].is_deleted()
    assert state["a"][0, 0] == -2.0


def test_calls_from_threads(device):
    small = fx.jit(lambda x, k: fnp.tanh(x) * 0 + k)
    large = fx.jit(lambda x, k: fnp.tanh(x) * 0 + k)
    a, b = fnp.zeros(64), fnp.zeros(1 << 18)

    def work(seed):
        for k in range(100):
            got = small(large(b, float(k))[:64] if k % 9 == seed else a, float(k + seed))
            assert got.tolist() == [k + seed] * 64

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


@pytest.mark.driver
def test_a_loop_of_small_kernels_and_steps_of_the_host_is_small():
    """Each step of the host waits for the kernels before it: threads would be woken each time."""

    def run(x):
        return lax.fori_loop(0, 20, lambda _, z: fnp.fft.ifft(fnp.fft.fft(z) * 0.5j), x)

    x = fnp.arange(64).astype(fnp.complex64)
    assert fx.jit(run).lower(x).compile()._plan.small


@pytest.mark.driver
@pytest.mark.parametrize(
    "f, most",
    [
        (lambda x: x + 1, 19),
        (lambda x: fnp.exp(x) * x, 16),
        (lambda x: fnp.pad(x.reshape(-1, 256), 1), 19),
        (lambda x: (x * x).sum(), 18),
        (lambda x: x[(x * 1000).astype(int)], 16),
    ],
    ids=["add", "exp", "pad", "sum", "gather"],
)
def test_what_strips_do_counts_as_little_as_it_takes(device, f, most):
    """So many elements, a power of two, are done before a second thread is awake, and not 16 times
    as many.
    """

    def small(log):
        return fx.jit(f).lower(fnp.ones(1 << log)).compile()._plan.small

    assert small(most) and not small(most + 4)


@pytest.mark.driver
def test_a_sort_in_a_loop_is_a_kernel():
    def run(x):
        return lax.map(lambda r: fnp.sort(r)[:3].sum(), x)

    x = fnp.sin(fnp.arange(6000.0)).reshape(40, 150)
    assert fx.jit(run).lower(x).compile()._plan.host_steps == 0
    np.testing.assert_allclose(fx.jit(run)(x), np.sort(x, -1)[:, :3].sum(-1), rtol=1e-5)


@pytest.mark.parametrize("calls", [1, 40])
def test_a_loop_that_is_launched_again_is_done_again(device, monkeypatch, calls):
    """`long` is noted where one launch's turns do not suffice; the numbers are right before and
    after, also where calls are written out.
    """
    monkeypatch.setattr(loops, "CHUNK_WORK", 1.0)  # 256 turns a launch

    @fx.jit
    def count(n, x):
        k, y = lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] + x), (0, x * 0))
        return k, y, y + k

    runs = executable(count, np.int32(3), np.float32(2))
    for n in [*[5] * calls, 700, 300, 7, 9000]:
        k, y, z = count(np.int32(n), np.float32(2))
        assert (int(k), float(y), float(z)) == (n, 2.0 * n, 3.0 * n)
        assert bool(runs.long) == (n > 256 or bool(runs.long))
    assert isinstance(runs, DirectExecutable) and runs.long


def refuse(x):
    """A host function that some branch calls."""
    if x > 1000:
        raise ValueError(f"{x} is too large")
    return np.float32(-x)


def checked(x):
    """A loop, a branch that calls the host where its result is above 40, and another such check."""
    y = lax.while_loop(lambda c: c < 10, lambda c: c * 1.5 + 1, x)
    out = fx.ShapeDtypeStruct((), np.float32)
    z = lax.cond(y > 40, lambda y: fx.pure_callback(refuse, out, y), lambda y: y, y)
    kept = fx.ShapeDtypeStruct((), np.bool_)
    ok = lax.switch(
        fnp.int32(z),
        [lambda y: y > 1, lambda y: fx.pure_callback(lambda y: y < 0, kept, y), lambda y: y > 1],
        z,
    )
    w = lax.cond(z > 30, lambda y: fx.pure_callback(refuse, out, y), lambda y: y * 2, z)
    return w + y, z, ok


@pytest.mark.parametrize("calls", [1, 600])
def test_branches_that_call_the_host_are_launches_where_they_are_not_taken(device, calls):
    """A call presumes the branch without the host, also where it is written out; where another is
    to be taken all is done again, and after some such calls nothing is presumed any more.
    """
    check = fx.jit(lambda x: checked(x)[:2])
    runs = executable(check, np.float32(3))
    assert isinstance(runs, DirectExecutable)
    assert runs._straight
    for x in [*[3.0] * calls, 35.0, 50.0, 3.0, 60.0, 70.0, 80.0, 3.0]:
        w, z = check(np.float32(x))
        y = {3.0: 14.875}.get(x, x)
        expected = -y if y > 40 else y
        expected = expected, -expected if expected > 30 else 2 * expected
        assert (float(z), float(w)) == (expected[0], expected[1] + y), x
    assert runs.long
    with pytest.raises(fx.errors.JaxRuntimeError, match="too large"):
        fx.block_until_ready(check(np.float32(2000)))


def test_of_several_branches_without_the_host_none_is_presumed(device):
    assert not executable(fx.jit(checked), np.float32(3))._straight
    for x in (3.0, 50.0, 0.5):
        given, found = checked(np.float32(x)), fx.jit(checked)(np.float32(x))
        assert [float(a) for a in found] == [float(a) for a in given]


def test_a_copy_in_a_branch_beside_the_host_is_a_launch(device):
    out = fx.ShapeDtypeStruct((), np.float32)

    def f(x):
        y = fnp.sin(x)
        return lax.cond(x.sum() > 5, lambda y: fx.pure_callback(refuse, out, y), lambda y: y, y) + 1

    runs = executable(fx.jit(f), np.float32(3))
    assert runs._straight
    assert float(fx.jit(f)(np.float32(3))) == float(np.sin(np.float32(3)) + np.float32(1))


UNDERFLOW = 0x10  # FE_UNDERFLOW on x86: a sticky bit of the calling thread


@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks for a bit of x86 processors")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "exp2", "softmax", "sigmoid", "softplus", "power"])
def test_what_is_nothing_underflows_nowhere(device, name, dtype):
    """Intel's processors take 100 cycles for each such product."""
    functions = {
        "power": lambda x: fnp.power(dtype(2.5), x),
        **{n: getattr(fx.nn, n) for n in ("softmax", "sigmoid", "softplus")},
    }
    libm = ctypes.CDLL(ctypes.util.find_library("m"))

    def underflows(least):
        x = fx.device_put(np.where(np.arange(32) % 2, dtype(least), dtype(-0.5)))
        f(x)
        libm.feclearexcept(UNDERFLOW)
        f(x)
        return libm.fetestexcept(UNDERFLOW) != 0

    with fx.enable_x64(dtype is np.float64):
        f = fx.jit(functions.get(name) or getattr(fnp, name))
        small = dtype(-740.5 if dtype is np.float64 else -100)
        small *= dtype({"exp2": 1.4537, "power": 1.1}.get(name, 1))
        assert underflows(small)  # a subnormal number: the question can be answered with yes
        assert not any(underflows(least) for least in (-1e4, -1e30, -np.inf))
