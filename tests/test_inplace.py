"""Memory taken over: an update that reads what it overwrites, donated arguments, carries, branches.

Each function is called with donated arguments and compared with eager code; then the same without
a copy where none is needed.
"""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax
from lowering.compile import make_plan
from lowering.plan import CopyStep, LoopStep
from lowering.runtime import devices
from lowering.runtime.counters import counters

pytestmark = pytest.mark.driver


def update(x, y, *at):
    return lax.dynamic_update_slice(x, y, at)


def half(x):
    return x[: x.shape[0] // 2]


def gauss(a):
    below = fnp.arange(a.shape[0])

    def step(k, a):
        return a.at[:].add(-fnp.outer(fnp.where(below > k, a[:, k] / (a[k, k] + 9), 0), a[k]))

    return lax.fori_loop(0, a.shape[0] - 1, step, a)


VECTORS = {
    "shift": lambda x: x.at[1:].set(x[:-1]),
    "shift left": lambda x: x.at[:-1].set(x[1:]),
    "reversed": lambda x: x.at[:].set(x[::-1]),
    "reversed part": lambda x: update(x, half(x)[::-1], 1),
    "start from data": lambda x: update(x, half(x) * 2, fnp.argmax(x[:3])),
    "two updates": lambda x: update(update(x, half(x)[1:], 0), half(x)[:-1], 1),
    "read later": lambda x: (lambda u: (u, x.max()))(update(x, fnp.ones(3), 2)),
    "read before": lambda x: (x.max(), update(x, fnp.ones(3), 2)),
    "old and new": lambda x: (lambda u: u + x[::-1])(update(x, fnp.ones(3), 2)),
    "a temporary": lambda x: (lambda t: update(t, half(t)[::-1], 1) + 1)(fnp.sort(x)),
    "rolled": lambda x: fnp.roll(x, 1),
    "backwards": lambda x: x[::-1] + x,
    "scatter of itself": lambda x: x.at[fnp.arange(x.shape[0])[::-1]].add(x),
    "scatter by itself": lambda x: x.at[x.astype("int32") % 3].add(1.0),
    "scan": lambda x: lax.scan(lambda c, _: (update(c, c[:-1], 1), c[0]), x, None, length=3),
    "scan at data": lambda x: lax.scan(
        lambda c, i: (update(c, half(c)[::-1], i), c.max()), x, fnp.arange(3)
    ),
    "loop": lambda x: lax.fori_loop(0, 5, lambda i, c: c.at[i + 1].set(c[i] + c[-1 - i]), x),
    "updates of what is computed": lambda x: lax.scan(
        lambda c, _: ((c * 0.5 + c[::-1]).at[0].set(1.0).at[2].add(c[3]), c[0]), x, None, length=3
    ),
    "computed, read and updated": lambda x: (lambda t: t.at[1:].add(t[:-1]))(x * 2),
    "two updates of one": lambda x: (lambda t: (t.at[0].set(9.0), t.at[1].set(8.0)))(x * 2),
    "loop of shifts": lambda x: lax.fori_loop(0, 5, lambda i, c: c.at[1:].set(c[:-1] * 0.5), x),
    "while": lambda x: lax.while_loop(
        lambda s: s[0] < 4, lambda s: (s[0] + 1, s[1].at[1:].add(s[1][:-1])), (0, x)
    ),
    "branches": lambda x: lax.cond(
        x[0] > 0, lambda x: x.at[1:].set(x[:-1]), lambda x: x.at[:-1].set(x[1:]), x
    ),
    "read after a branch": lambda x: (
        lax.cond(x[0] > 0, lambda x: x.at[0].set(7.0), lambda x: x * 2, x),
        x[::-1] * 2,
    ),
}
PAIRS = {
    "the same array twice": lambda x, y: lax.fori_loop(
        0, 3, lambda i, c: (c[0].at[i].set(c[1][i + 1]), c[1].at[i].add(y[i])), (x, x)
    ),
    "carry and constant": lambda x, y: (
        lax.fori_loop(0, 3, lambda i, c: c.at[i].set(x[i + 1] + c[i + 2]), x),
        lax.while_loop(lambda c: c[0] < 9, lambda c: c + y * y + 1, y),
    ),
    "read after a loop": lambda x, y: (
        lax.fori_loop(0, 3, lambda i, c: c.at[i].set(y[i] * 2), x),
        x[::-1],
    ),
    "read after another result": lambda x, y: (lambda n: (n, x - n, x * 2))(y * 0.9 + 1),
    "read after another result, in turn": lambda x, y: (lambda n: (x * 2, n, n - x))(y * 0.9 + 1),
    "exchanged": lambda x, y: (y + 1, x + 1),
    "sum and difference": lambda x, y: (x + y, x - y),
    "crossed": lambda x, y: (y[::-1] + x, x[::-1] - y),
    "loop of two": lambda x, y: lax.fori_loop(
        0, 5, lambda i, c: (c[0].at[i].set(c[1][i + 1]), c[1].at[i + 1].set(c[0][i])), (x, y)
    ),
}
MATRICES = {
    "transposed": lambda a: a + a.T,
    "set to transposed": lambda a: a.at[:, :].set(a.T),
    "row from column": lambda a: a.at[0].set(a[:, 0]),
    "rows moved": lambda a: a.at[1:].set(a[:-1]),
    "columns moved": lambda a: a.at[:, 1:].set(a[:, :-1]),
    "first row off": lambda a: a.at[1:].add(-a[:1]),
    "outer": lambda a: a.at[1:, 1:].add(-fnp.outer(a[1:, 0], a[0, 1:])),
    "softmax": lambda a: fx.nn.softmax(a),
    "mean off": lambda a: a - a.mean(0),
    "product": lambda a: a @ a + a,
    "cumsum": lambda a: fnp.cumsum(a, 0),
    "elimination": gauss,
    "paths": lambda a: lax.fori_loop(
        0, a.shape[0], lambda k, a: fnp.minimum(a, a[:, k][:, None] + a[k][None]), a
    ),
}


def same(f, *arrays):
    """f gives, jitted with all arguments donated and with each alone, what it gives eagerly."""
    want = f(*[fnp.asarray(a.copy()) for a in arrays])
    every = tuple(range(len(arrays)))
    for donated in dict.fromkeys((every, *((k,) for k in every))):
        got = fx.jit(f, donate_argnums=donated)(*[fx.device_put(a.copy()) for a in arrays])
        for g, w in zip(fx.tree.leaves(got), fx.tree.leaves(want), strict=True):
            np.testing.assert_allclose(np.asarray(g), np.asarray(w), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [9, 1000])
@pytest.mark.parametrize("name", [*VECTORS, *PAIRS])
def test_vectors(name, n):
    rng = np.random.default_rng(n)
    arrays = [rng.uniform(-2, 2, n).astype(np.float32) for _ in range(1 + (name in PAIRS))]
    same({**VECTORS, **PAIRS}[name], *arrays)


@pytest.mark.parametrize("n", [5, 40])
@pytest.mark.parametrize("name", MATRICES)
def test_matrices(name, n):
    a = np.random.default_rng(n).uniform(-1, 1, (n, n)).astype(np.float32)
    same(MATRICES[name], a)


KEPT = {
    "element": lambda x: x.at[5].set(1.0),
    "scaled": lambda x: x * 2 + 1,
    "part": lambda x: x.at[1:].add(1.0),
    "part of itself": lambda x: x.at[1:].set(x[1:] * 2),
    "window": lambda x: update(x, fnp.ones(3), 2),
}


@pytest.mark.parametrize("name", KEPT)
def test_donated_memory_is_used_without_a_copy(name):
    f = fx.jit(KEPT[name], donate_argnums=0)
    fx.block_until_ready(f(fx.device_put(np.ones(4096, np.float32))))
    x = fx.device_put(np.ones(4096, np.float32)) + 0
    before, place = counters(), x.unsafe_buffer_pointer()
    y = fx.block_until_ready(f(x))
    assert (counters() - before).copies == 0
    assert y.unsafe_buffer_pointer() == place


def test_a_donated_array_is_a_loops_carry():
    """Elements of a large array are updated in a loop: neither the array nor a part is copied."""
    n = 1 << 16
    body = lambda i, c: c.at[i].set(2 * c[i - 1] + 1)
    f = fx.jit(lambda x: lax.fori_loop(1, 6, body, x), donate_argnums=0)
    want = np.ones(n, np.float32)
    want[:6] = [1, 3, 7, 15, 31, 63]
    for _ in range(2):
        x = fx.device_put(np.ones(n, np.float32)) + 0
        before, place = counters(), x.unsafe_buffer_pointer()
        y = fx.block_until_ready(f(x))
    assert (counters() - before).copies == 0
    assert y.unsafe_buffer_pointer() == place
    np.testing.assert_array_equal(y, want)


def test_what_reads_a_donated_array_is_not_made_after_it_is_written():
    """A large factor of a late product could wait for its reader, but its argument is donated."""
    rng = np.random.default_rng(0)
    n = 96
    arrays = [rng.standard_normal((m, n)).astype(np.float32) / 8 for m in (n, 64, n, n)]

    def f(w, x, a, b):
        factor = fnp.tanh(w[:, : n - 8] * w[:, 8:])
        h = fnp.tanh(x @ a)
        first = h[0]
        for _ in range(4):
            h = fnp.tanh(h @ b)
        return h @ factor, w * 0.5 + first

    want = f(*map(fnp.asarray, arrays))
    got = fx.jit(f, donate_argnums=0)(fx.device_put(arrays[0]) + 0, *arrays[1:])
    for g, w in zip(got, want):
        np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4)


def test_a_thousand_steps_of_donated_state_allocate_nothing():
    """A training step whose state is donated: no new blocks, no copies, no growth."""
    rng = np.random.default_rng(0)
    w = {"a": rng.standard_normal((16, 16)).astype(np.float32), "b": np.zeros(16, np.float32)}
    state = fx.tree.map(fx.device_put, (w, fx.tree.map(np.zeros_like, w)))
    batch = fx.device_put(rng.standard_normal((8, 16)).astype(np.float32))

    @fx.jit
    def loss(w, x):
        return (fnp.tanh(x @ w["a"] + w["b"]) ** 2).mean()

    def step(state, x):
        w, m = state
        value, g = fx.value_and_grad(loss)(w, x)
        m = fx.tree.map(lambda m, g: 0.9 * m + g, m, g)
        return (fx.tree.map(lambda w, m: w - 0.01 * m, w, m), m), value

    train = fx.jit(step, donate_argnums=0)
    for _ in range(3):
        state, value = train(state, batch)
    fx.block_until_ready(value)
    before = counters()
    for _ in range(1000):
        state, value = train(state, batch)
    fx.block_until_ready(value)
    done = counters() - before
    assert (done.copies, done.compiles) == (0, 0)
    assert done.alloc_count <= 4  # asynchronous calls may hold a second result at first
    assert counters().live_bytes <= before.live_bytes


def inner_while(b, v):
    step = lambda c: (c[0].at[fnp.abs(v * 100).astype(int) % N].add(v), c[1] + 1)
    return lax.while_loop(lambda c: c[1] < 3, step, (b, 0))[0], b[3]


def insert(i, x):
    value = x[i]
    goes_on = lambda c: (c[0] > 0) & (c[1][c[0] - 1] > value)
    move = lambda c: (c[0] - 1, c[1].at[c[0]].set(c[1][c[0] - 1]))
    j, x = lax.while_loop(goes_on, move, (i, x))
    return x.at[j].set(value)


N = 300
CARRIES = {
    "read before it is updated": lambda x: lax.scan(
        lambda c, v: ((c[0].at[c[1]].set(v + c[0][c[1] - 1]), c[1] + 1), c[0][c[1] // 2]),
        (fnp.zeros(N), 0), x,
    ),
    "complex numbers": lambda x: lax.fori_loop(
        1, N, lambda i, b: b.at[i].set(b[i - 1] * fnp.exp(1j * x[i])), x + 0j
    ),
    "two that read each other": lambda x: lax.fori_loop(
        1, N, lambda i, c: (c[0].at[i].set(c[1][i - 1] + 1), c[1].at[i].set(c[0][i - 1] * 0.5)),
        (x, x * 2),
    ),
    "a loop inside": lambda x: lax.scan(inner_while, x * 0, x),
    "two change places": lambda x: lax.fori_loop(
        0, N, lambda i, c: (c[1].at[i].set(c[0][i] + x[i]), c[0]), (x * 0, x)
    ),
    "a loop inside, then an update by what was there": lambda x: lax.fori_loop(1, N, insert, x),
    "loops inside a loop": lambda x: lax.fori_loop(
        0, 4, lambda k, x: lax.fori_loop(1, N, lambda i, x: x.at[i].set(x[i - 1] * 0.9 + k), x), x
    ),
    "an inner loop and the array before it": lambda x: lax.scan(
        lambda b, v: (inner_while(b, v)[0], b), x * 0, x
    ),
}  # fmt: skip
OTHERS = {
    "an inner loop that carries it twice": lambda x: lax.fori_loop(
        0, 5,
        lambda k, b: (lambda c: c[0] + 2 * c[1])(
            lax.fori_loop(0, 9, lambda i, c: (c[0].at[i].add(k), c[1].at[i + 1].add(1)), (b, b))
        ),
        x,
    ),
    "read after it is updated": lambda x: lax.fori_loop(
        1, N,
        lambda i, c: (lambda u: (u, c[1] + u[i] * c[0][i - 1] + c[0][i]))(c[0].at[i].add(x[i - 1])),
        (x, 0.0),
    ),
}  # fmt: skip


def copied(steps, inside=False):
    """The sizes of the copies in loops."""
    for s in steps:
        if isinstance(s, LoopStep):
            yield from copied(s.body, True)
        elif isinstance(s, CopyStep) and inside:
            yield s.nbytes


@pytest.mark.parametrize("name", CARRIES | OTHERS)
def test_carries_are_updated_where_they_stand(name, rng):
    f = (CARRIES | OTHERS)[name]
    x = rng.uniform(-1, 1, N).astype(np.float32)
    with fx.disable_jit():
        want = fx.tree.leaves(f(fnp.asarray(x)))
    for got, value in zip(fx.tree.leaves(fx.jit(f)(x)), want, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-4, atol=1e-5)
    graph = fx.jit(f).lower(x).compile()._runner.graph
    plan = make_plan(
        graph, devices.default_device().profile, condense=False, loops=False, merge=False
    )
    most = max(copied(plan.steps), default=0)
    assert (most < x.nbytes) == (name in CARRIES), most


@pytest.mark.parametrize("new", [True, False], ids=["after", "before"])
def test_what_is_carried_and_stacked_is_written_to_both(new, rng):
    """A kernel has it in a register: no step copies it."""
    x = rng.uniform(-1, 1, N).astype(np.float32)

    def f(x):
        step = lambda h, _: (lambda u: (u, u if new else h))(h + 0.1 * fnp.roll(fnp.sin(h), 1))
        return lax.scan(step, x, None, length=20)

    graph = fx.jit(f).lower(x).compile()._runner.graph
    plan = make_plan(
        graph, devices.default_device().profile, condense=False, loops=False, merge=False
    )
    assert any(isinstance(s, LoopStep) for s in plan.steps)
    assert not list(copied(plan.steps))
    with fx.disable_jit():
        want = f(fnp.asarray(x))
    for got, value in zip(fx.jit(f)(x), want, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-5, atol=1e-6)
