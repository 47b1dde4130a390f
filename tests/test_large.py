"""Recorded functions of large arrays as kernels: what NumPy gives, to the bit, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from case_checks import applied, host, operands, stored

import fx
import fx.numpy as fnp
from fx import core, lax
from fx.jaxpr import ClosedJaxpr
from fx.numpy import exact, fast, large
from fx.numpy.recorded import recorded
from fx.numpy.replay import written
from fx.prims.coverage import cases_of

SHAPE = (67, 129)


def values(dtype: Any, seed: int = 0) -> fx.Array:
    """Numbers of both signs with what is special among them."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind != "f":
        return fnp.asarray(rng.integers(-90, 90, SHAPE).astype(dtype))
    x = (rng.normal(size=SHAPE) * 3).astype(dtype)
    special = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-42, 0.5, 2.5, -3.5, 3e38, -3e9]
    x.reshape(-1)[rng.choice(x.size, 500)] = rng.choice(special, 500).astype(dtype)
    return fnp.asarray(x)


X, Y, I, J = values("f4"), values("f4", 1), values("i4"), values("i4", 2)
ROWS = fnp.asarray(np.random.default_rng(3).integers(0, 67, 200))
KEY = fx.random.key(0)
ZEROS = [fnp.asarray(np.copysign(np.float32(0), v)) for v in (X, Y)]
TOP = {"k": 3, "axis": 1}
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "where": (lambda x: fnp.where(x > 0, x, -0.0), (X,)),
    "polynomial": (lambda x, y: x * y + x - y / 3.0 * x + 0.0, (X, Y)),
    "division": (lambda x, y: (x / y, x * 7.0 / 3.0, x / 8.0, 1 / fnp.sqrt(y)), (X, Y)),
    "remainders": (lambda x, y: (x % y, fnp.fmod(x, y), x // 1.0), (X, Y)),
    "integers": (lambda i, j: (i // j, i % j, i // 7, i % 8, i * j - i, i << 3), (I, J)),
    "clip and round": (lambda x: (fnp.clip(x, -1, 1), fnp.round(x), fnp.sign(x)), (X,)),
    "powers": (lambda x: (x**2, x**3, x**5, x**-1, x**-2), (X,)),
    "zeros": (lambda x, y: (fnp.maximum(x, y), fnp.minimum(x, y), fnp.clip(x, y, 0.0)), (*ZEROS,)),
    "zeros and bounds": (
        lambda x: (fnp.maximum(x, 0), fnp.minimum(0, x), fnp.clip(x, 0, 1), fnp.clip(x, -1, 0)),
        (ZEROS[0],),
    ),
    "comparisons": (lambda x, y: (x < y, x != y, (x == y) | ~(x >= y), fnp.isnan(x)), (X, Y)),
    "conversions": (lambda x, i: (x.astype("i4"), x.astype("u1"), i.astype("f4")), (X, I)),
    "joined": (lambda x, y: fnp.concatenate([x, fnp.pad(y, ((2, 3), (0, 0)))]), (X, Y)),
    "shifted": (lambda x: (fnp.roll(x, 5, 1), fnp.diff(x), fnp.flip(x), x[::2, 3:]), (X,)),
    "triangles": (lambda x: (fnp.tril(x), fnp.triu(x, 3), fnp.eye(67, 129) * x), (X,)),
    "taken": (lambda x, r: (x[r], fnp.take(x, r, 1), x[r, r[::-1]]), (X, ROWS)),
    "set": (lambda x, r: (x.at[r].set(1.0), x.at[::2].add(1.0), x.at[:, 3].set(2.0)), (X, ROWS)),
    "added": (lambda x, y, r: x.at[r].add(y[:1]).at[r, 5].add(0.1), (X, Y, ROWS)),
    "segments": (lambda x, r: fx.ops.segment_sum(x[:, 0][r], r, 10), (X, ROWS)),
    "extrema": (lambda x: (x.max(), x.min(0), x.max(1), lax.cummax(x, 1)), (X,)),
    "places": (lambda x: (x.argmax(), x.argmin(0), x.argmax(1)), (X,)),
    "sums of integers": (lambda i: (i.sum(), i.sum(0), i.cumsum(1), (i > 3).sum(1)), (I,)),
    "masks": (lambda x: ((x > 0).any(1), (x < 9).all(0), fnp.count_nonzero(x > 1)), (X,)),
    "sorted integers": (lambda i: (fnp.sort(i, 1), fnp.argsort(i, 0)), (I,)),
    "one hot": (lambda r: fx.nn.one_hot(r, 67), (ROWS,)),
    "relu": (lambda x: (fx.nn.relu(x), fx.nn.leaky_relu(x), fx.nn.hard_tanh(x)), (X,)),
    "made": (lambda: (fnp.arange(9000), fnp.linspace(0, 1, 9001), fnp.arange(0.0, 9e3, 0.7)), ()),
    "random": (lambda: (fx.random.bits(KEY, SHAPE), fx.random.uniform(KEY, SHAPE)), ()),
    "integers at random": (lambda: fx.random.randint(KEY, SHAPE, 0, 100), ()),
    "cross": (lambda x, y: fnp.cross(x.reshape(-1, 3), y.reshape(-1, 3)), (X, Y)),
}


def closed_of(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[ClosedJaxpr, Any]:
    """The function's jaxpr, and the structure of its result."""
    tree = fx.tree.structure(function(*args))
    jaxpr, consts = core.trace_to_jaxpr(
        lambda *xs: fx.tree.leaves(function(*xs)), [x.aval for x in args]
    )
    return ClosedJaxpr(jaxpr, consts), tree


def same(found: list[Any], expected: list[Any]) -> None:
    """Equal to the bit; any NaN for a NaN, whose sign and payload have no meaning."""
    assert len(found) == len(expected)
    for a, b in zip(host(found), host(expected)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        a, b = stored(a), stored(b)
        if a.dtype.kind == "f":
            a, b = (np.where(np.isnan(v), v.dtype.type(np.nan), v) for v in (a, b))
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_kernels_have_numpys_bits(name: str) -> None:
    function, args = FUNCTIONS[name]
    closed, tree = closed_of(function, args)
    (part,) = parts = exact.phases(closed, 0)
    assert part.kernel
    kernel = large.joined(closed.jaxpr.invars, parts, None)
    same(kernel(args), fx.tree.leaves(written(closed, tree)(*args)))


MIXED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "softmax": (fx.nn.softmax, (X,), "knk"),
    "elu": (fx.nn.elu, (X,), "knk"),
    "gelu": (fx.nn.gelu, (X,), "knk"),
    "variance": (lambda x: (x.var(1), x * 2.0), (X,), "knkn"),
    "argument": (lambda x, y: (x, fnp.exp(y), x + 1.0, 2.0), (X, Y), "kn"),
    "constant": (lambda x: fnp.exp(x * Y) - Y, (X,), "knk"),
    "normal": (lambda: fx.random.normal(KEY, (300, 400)), (), "knk"),
}


@pytest.mark.parametrize("name", MIXED)
def test_phases_have_numpys_bits(name: str) -> None:
    """Kernels (k) and NumPy (n) in turns."""
    function, args, turns = MIXED[name]
    closed, tree = closed_of(function, args)
    closed = large.dce_closed(closed, None, True)[0]
    parts = exact.phases(closed, 2000)
    assert "".join("nk"[p.kernel] for p in parts) == turns
    found = large.joined(closed.jaxpr.invars, parts, None)(args)
    same(found, fx.tree.leaves(written(closed, tree)(*args)))


@pytest.mark.parametrize("name", sorted(set(exact.TYPES) - {*exact._INTEGERS}))
def test_primitives_are_exact(name: str) -> None:
    """Every case of a primitive whose types are declared exact."""
    p = core.PRIMITIVES[name]
    cases = []
    for case in cases_of(p):
        if case.call or case.axes:
            continue
        args = operands(case)
        closed, _ = closed_of(applied(p, case), tuple(map(fnp.asarray, args)))
        if all(map(exact.exact, closed.jaxpr.eqns)):
            cases.append((applied(p, case), args))
    assert cases
    found = fx.jit(lambda *each: [f(*a) for (f, _), a in zip(cases, each)])(*[a for _, a in cases])
    for (f, args), outs in zip(cases, found):
        same(outs, host(f(*args)))


@pytest.mark.parametrize(
    "function",
    [fnp.exp, fnp.sum, fnp.cumsum, fnp.sort, lambda x: x.astype("f2"), lambda x: x @ x.T],
)
def test_what_rounds_otherwise_is_not_exact(function: Callable[..., Any]) -> None:
    assert not all(map(exact.exact, closed_of(function, (X,))[0].jaxpr.eqns))


# ---------------------------------------------------------------- when


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Every array is large, and a call takes as long as the fixture is told."""
    now, step = 0.0, 1.0

    def tick() -> float:
        nonlocal now
        now += step
        return now

    def takes(seconds: float) -> None:
        nonlocal step
        step = seconds

    monkeypatch.setattr(large, "perf_counter", tick)
    monkeypatch.setattr(large, "LARGE", 0)
    monkeypatch.setattr(large, "WORTH", 5.5)
    yield takes


def built() -> None:
    """Wait for the threads that build."""
    for thread in threading.enumerate():
        if thread.name == "eager-kernel":
            thread.join()


def launches(counted: Any, function: Callable[..., Any], *args: Any) -> int:
    before = counted().launches
    for x in fx.tree.leaves(function(*args)):
        x.block_until_ready()
    return counted().launches - before


def test_a_kernel_takes_over_once_it_pays(clock, counted):
    x = X[:50] * 1.0
    function = recorded(lambda x: lax.select(x > 0.25, x, x + 1.5))
    expected = np.asarray(function(x))
    assert [launches(counted, function, x) for _ in range(6)] == [0] * 6
    built()
    assert counted().compiles == 0
    launches(counted, function, x)  # six seconds
    built()
    clock(0.5)
    assert [launches(counted, function, x) for _ in range(3)] == [1] * 3
    same([function(x)], [expected])


def test_a_kernel_that_is_slower_goes(clock, counted):
    x = X[:51] * 1.0
    function = recorded(lambda x: lax.select(x > 0.75, x, x + 2.5))
    for _ in range(8):
        function(x)
    built()
    clock(2.0)
    tried = [launches(counted, function, x) for _ in range(large.TRIALS + 2)]
    assert tried == [1] * large.TRIALS + [0, 0]


def test_another_device_is_not_the_kernels(clock, counted):
    x = X[:52] * 1.0
    function = recorded(lambda x: lax.select(x > 0.5, x, x + 3.5))
    for _ in range(9):
        function(x)
    built()
    clock(0.5)
    assert launches(counted, function, x) == 1
    with fx.default_device(fx.devices("interpreter")[0]):
        assert launches(counted, function, x) == 0


def test_primitives_become_kernels(clock, counted):
    """Functions of fx.lax are not recorded; evaluation asks for each primitive."""
    x = X[:54] * 1.0
    for _ in range(9):
        lax.max(x, x)
        lax.top_k(x, 3)
    built()
    clock(0.5)
    assert launches(counted, lax.max, x, x) == 1
    assert launches(counted, lax.top_k, x, 3) >= 1
    same(list(lax.top_k(x, 3)), list(core.EVAL.apply(lax.top_k_p, [np.asarray(x)], TOP)))


def test_arithmetic_of_large_arrays_becomes_a_kernel(clock, counted, monkeypatch):
    monkeypatch.setattr(fast, "SMALL", 100)
    x, y = X[:55] * 1.0, fnp.zeros((10, 10)) + 1.0
    for _ in range(9):
        x + x
    built()
    clock(0.5)
    assert launches(counted, lambda: x + x) == 1
    assert launches(counted, lambda: y + y) == 0


def test_results_stay_when_arguments_go(clock, counted):
    """Kernels read a caller's memory while they run, and write to none that anyone holds."""
    x = X[:53] * 1.0
    function = recorded(lambda x: x.at[::2].add(1.0) - 0.5)
    for _ in range(9):
        function(x)
    built()
    clock(0.5)
    first = [function(x + float(k)) for k in range(20)]
    expected = [np.array(x + float(k)) for k in range(20)]
    for a, b in zip(first, expected):
        b[::2] += 1
        b -= 0.5
        same([a], [b])
    assert counted().launches >= 20


@pytest.mark.driver
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_numpy():
    """What a kernel computes in the parent."""
    text = """
import os, signal, time
import fx.numpy as fnp
from fx.numpy import large
large.WORTH = large.WORTH_A_DEVICE = -1.0
large.GAIN = 0.0
x = fnp.ones((300, 400))
built = []
large._Signature._by_kernel = lambda self, leaves, old=large._Signature._by_kernel: (
    built.append(1), old(self, leaves))[1]
end = time.time() + 60
while not built and time.time() < end:
    fnp.where(x > 0, x, -0.0)
    time.sleep(0.05)
print(bool(built), flush=True)
child = os.fork()
if child == 0:
    signal.alarm(20)
    print(float(fnp.where(x > 0, x, -0.0).sum()), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=600)
    assert done.stdout.split() == ["True", "120000.0", "0"], done.stdout + done.stderr
