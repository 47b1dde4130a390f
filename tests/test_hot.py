"""Calls that are written out (fx.hot) do what calls did before they were, in everything."""

import dataclasses
import gc
import sys
import threading
import weakref
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx.array import Array

jit_module = sys.modules["fx.jit"]
State = namedtuple("State", "w m")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Signatures are written out at their second call."""
    monkeypatch.setattr(jit_module, "WRITE_AFTER", 1)


def written(f):
    """The function that `f` tries first."""
    return f._caches.written


def warm(f, *args, **kwargs):
    for _ in range(3):
        out = f(*args, **kwargs)
    assert written(f) is not None
    return out


X = np.arange(4, dtype=np.float32)
PROGRAMS = {
    "two arrays": (lambda a, b: a + b, (X, X), {}),
    "the same array twice": (lambda a, b: a * b, (X, X), {}),
    "a tree": (lambda t: {"b": t["a"] + 1, "a": [t["b"][0], None, ()]}, ({"b": [X], "a": X},), {}),
    "a named tuple": (lambda s: State(s.w - s.m, s.m), (State(X, X * 2),), {}),
    "keywords": (lambda a, *, lr, b: a * lr + b, (X,), {"lr": 0.5, "b": X}),
    "numbers": (lambda a, n, c: (a * n, c), (X, 3, True), {}),
    "nothing": (lambda: jnp.ones(3) * 2, (), {}),
    "an input handed through": (lambda a, b: (a, b + 1, a), (X, X), {}),
    "a literal": (lambda a: (a + 1, 2.0, a + 1), (X,), {}),
    "an input that is not read": (lambda a, b: a + 1, (X, X), {}),
    "nothing to compute": (lambda a: (a, 1), (X,), {}),
    "a closed-over array": (lambda a: a + jnp.asarray(X), (X,), {}),
    "no elements": (lambda a: a + 1, (X[:0],), {}),
    "complex": (lambda a: a * 1j, (X,), {}),
    "a sum and what it came from": (lambda a: (a.sum(), a * a.sum()), (X,), {}),
    "a product": (
        lambda a, b: (a @ b, (a @ b).sum(0)),
        (np.ones((5, 4), "f"), np.ones((4, 3), "f")),
        {},
    ),
}


@pytest.mark.parametrize("wrap", [fx.device_put, lambda t: t], ids=["arrays", "numpy"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_those_of_the_first_call(name, wrap):
    f, args, kwargs = PROGRAMS[name]
    jitted = fx.jit(f)
    args, kwargs = wrap((args, kwargs))
    first = jitted(*args, **kwargs)
    for _ in range(4):
        again = jitted(*args, **kwargs)
        fx.tree.map(np.testing.assert_array_equal, first, again)
        assert fx.tree.structure(first) == fx.tree.structure(again)
        for x, y in zip(fx.tree.leaves(first), fx.tree.leaves(again)):
            assert (type(y), x.dtype, x.weak_type) == (Array, y.dtype, y.weak_type)
    assert written(jitted) is not None


def test_another_signature_is_seen():
    f = fx.jit(lambda a, b=1: a["x"] + b)
    x = fx.device_put(X)
    warm(f, {"x": x})
    assert f({"x": x[:2]}).shape == (2,)
    assert f({"x": x.astype(int)}).dtype == np.int32
    assert f({"x": x[0]}).shape == ()
    assert f({"x": 2}).dtype == np.int32
    assert f({"x": x, "y": x}).shape == (4,)
    assert f({"x": x}, x).shape == (4,)
    assert f({"x": x}, b=True).dtype == np.float32
    with pytest.raises((TypeError, KeyError)):
        f([x])
    with pytest.raises(TypeError):
        f({"x": "text"})
    np.testing.assert_array_equal(f({"x": x}), X + 1)


def test_signatures_in_turns():
    f = fx.jit(lambda a: a + 1)
    x, y = fx.device_put(X), fx.device_put(np.ones((2, 3), np.float32))
    for _ in range(5):
        assert f(x).shape == (4,)
        assert f(y).shape == (2, 3)


def test_transformations_and_settings_are_seen():
    f = fx.jit(lambda a: (a * a).sum())
    x = fx.device_put(X)
    warm(f, x)
    np.testing.assert_array_equal(fx.grad(f)(x), 2 * X)
    np.testing.assert_array_equal(fx.vmap(f)(jnp.stack([x, x])), [14, 14])
    assert str(fx.make_jaxpr(f)(x)).count("jit") == 1
    with fx.disable_jit():
        assert f(x) == 14
    with fx.enable_x64(True):
        assert fx.jit(lambda a: a + 1)(np.ones(2)).dtype == np.float64
        g = fx.jit(lambda n: n + 1)
        assert warm(g, 1).dtype == np.int64
    assert g(1).dtype == np.int32
    with fx.debug_nans(True), pytest.raises(FloatingPointError):
        warm(fx.jit(lambda a: 0 / a), x)


def test_a_tracer_that_got_out_is_refused():
    f = fx.jit(lambda a: a + 1)
    warm(f, fx.device_put(X))
    kept = []
    fx.make_jaxpr(lambda a: kept.append(a) or a)(fx.device_put(X))
    with pytest.raises(fx.errors.UnexpectedTracerError):
        f(kept[0])


def test_deleted_and_donated_arguments():
    f = fx.jit(lambda a: a + 1)
    x = fx.device_put(X)
    warm(f, x)
    x.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        f(x)
    g = fx.jit(lambda a, b: a + b, donate_argnums=0)
    for _ in range(4):
        x = fx.device_put(X)
        np.testing.assert_array_equal(g(x, X), 2 * X)
        assert x.is_deleted()


def test_trees_of_the_users_own():
    """What the tree library flattens is launched in the written way as well."""

    @fx.tree_util.register_dataclass
    @dataclasses.dataclass
    class Point:
        x: Any
        y: Any

    f = fx.jit(lambda p, s: Point(p.x + s, p.y * 2))
    x = fx.device_put(X)
    for value in (1.0, fx.device_put(np.float32(1)), 1.0, np.float32(1), x, X, x, 1):
        for _ in range(3):
            out = f(Point(x, X), value)
            np.testing.assert_array_equal(out.x, X + np.asarray(value))
            np.testing.assert_array_equal(out.y, X * 2)
    assert any(hit.launch is not None for hit in f._caches.hits.values())
    with pytest.raises(RuntimeError, match="deleted"):
        gone = fx.device_put(X)
        gone.delete()
        f(Point(gone, X), 1.0)


def test_a_state_that_is_given_away_at_each_step():
    def step(state, x):
        w, m = state["w"], state["m"] * 0.5 + x
        return {"w": w - m, "m": m}, (w * x).sum()

    plain, donating = fx.jit(step), fx.jit(step, donate_argnums=0)
    make = lambda: {"w": fx.device_put(X), "m": fx.device_put(X * 0)}
    x, mine, theirs = fx.device_put(X), make(), make()
    before = fx.debug.counters().live_bytes
    for _ in range(30):
        old = theirs
        mine, a = plain(mine, x)
        theirs, b = donating(theirs, x)
        assert all(leaf.is_deleted() for leaf in old.values())
        np.testing.assert_array_equal(a, b)
    fx.tree.map(np.testing.assert_array_equal, mine, theirs)
    assert written(donating) is not None
    assert fx.debug.counters().live_bytes - before < 1 << 12
    with pytest.raises(RuntimeError, match="deleted"):
        donating(old, x)


def test_memory_that_others_see_is_not_taken_over():
    """A result takes a donated argument's memory only where no view, alias or array is on it."""
    f = fx.jit(lambda a, b: a * 0.5 + b, donate_argnums=0)
    same = fx.jit(lambda a: (a, a + 1))
    x, a, kept, wanted = fx.device_put(X), fx.device_put(X + 0), [], []
    for k in range(40):
        if k % 4 == 1:
            kept.append(np.asarray(a))
        elif k % 4 == 2:
            kept.append(same(a)[0])
        if k % 4 in (1, 2):
            wanted.append(np.array(kept[-1]))
        before, a = a, f(a, x)
        assert before.is_deleted()
    np.testing.assert_array_equal(np.asarray([np.asarray(v) for v in kept]), wanted)
    assert written(f) is not None
    with pytest.raises(RuntimeError, match="deleted"):
        f(before, x)
    twice = fx.jit(lambda a, b: (a + b, a - b), donate_argnums=(0, 1))
    for _ in range(4):
        y = fx.device_put(X)
        s, d = twice(y, y)
        np.testing.assert_array_equal(s, 2 * X)
        np.testing.assert_array_equal(d, 0 * X)


def test_results_stay_what_they_are():
    """Of calls in a row no result is another's memory, however few of them are kept."""
    f = fx.jit(lambda t: fx.tree.map(lambda a: a + 1, t))
    t = {"a": fx.device_put(X), "b": fx.device_put(X * 10)}
    kept, wanted = [], []
    for k in range(20):
        t = f(t)
        if k % 3:
            kept.append(t["b"] if k % 2 else np.asarray(t["b"]))
            wanted.append(X * 10 + k + 1)
    np.testing.assert_array_equal(np.asarray(kept), wanted)


def test_parts_of_a_block_given_away():
    """Of several results on one block one is donated, one aliased, one viewed."""
    f = fx.jit(lambda a: (a + 1, a + 2, a + 3))
    g = fx.jit(lambda a, b: a.at[0].set(b[1]), donate_argnums=0)
    h = fx.jit(lambda a: (a, a * 2))
    x = fx.device_put(X)
    warm(f, x)
    for _ in range(10):
        a, b, c = f(x)
        view, same = np.asarray(c), h(b)[0]
        del c
        out = g(a, b)
        assert a.is_deleted()
        del a, b
        f(x)
        np.testing.assert_array_equal(out, [3, 2, 3, 4])
        np.testing.assert_array_equal(view, X + 3)
        np.testing.assert_array_equal(same, X + 2)


def test_a_numpy_argument_may_change_after_the_call():
    f = fx.jit(lambda a, b: a * b)
    a = np.ones(4, np.float32)
    warm(f, a, fx.device_put(X))
    first = f(a, X)
    a[:] = 5
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(f(a, X), 5 * X)
    np.testing.assert_array_equal(f(a[::-1], X), 5 * X)
    np.testing.assert_array_equal(f(a.astype(">f4"), X), 5 * X)


def test_arguments_are_not_kept():
    """What a call has read can be freed after it: frames remember tokens, not memory."""
    f = fx.jit(lambda a: a + 1)
    x = fx.device_put(np.ones(1000, np.float32))
    warm(f, x)
    memory = weakref.ref(x._numpy())
    seen = weakref.ref(x)
    del x
    gc.collect()
    assert seen() is None and memory() is None


@pytest.mark.driver
def test_live_bytes_are_counted():
    f = fx.jit(lambda a: (a + 1, (a + 2).sum()))
    x = fx.device_put(X)
    warm(f, x)
    before = fx.debug.counters().live_bytes
    out = [f(x) for _ in range(5)]
    assert fx.debug.counters().live_bytes > before
    del out
    assert fx.debug.counters().live_bytes == before


def test_clear_caches_traces_again():
    scale = [1.0]
    f = fx.jit(lambda a: a * scale[0])
    x = fx.device_put(X)
    warm(f, x)
    scale[0] = 2.0
    np.testing.assert_array_equal(f(x), X)
    fx.clear_caches()
    np.testing.assert_array_equal(f(x), 2 * X)
    warm(f, x)
    scale[0] = 3.0
    f.clear_cache()
    np.testing.assert_array_equal(f(x), 3 * X)


@pytest.mark.driver
def test_the_default_device_is_seen():
    f = fx.jit(lambda a: a + 1)
    x = fx.device_put(X)
    warm(f, x)
    with fx.default_device("interpreter"):
        assert f(X).device.interpreter
    assert not f(x).device.interpreter


def test_pending_work_is_waited_for():
    """A small call on the result of a large one, which runs elsewhere."""
    big = fx.jit(lambda a: jnp.sin(a + 1).sum() * jnp.ones(4))
    small = fx.jit(lambda a: a * 2)
    a = fx.device_put(np.ones((1000, 1000), np.float32))
    warm(small, big(a))
    for _ in range(30):
        y = big(a)
        np.testing.assert_array_equal(small(y), 2 * np.asarray(y))


def test_threads():
    f = fx.jit(lambda a, n: (a + n, a * n))
    x = fx.device_put(X)
    warm(f, x, 1)
    wrong = []

    def run(n):
        for _ in range(300):
            s, p = f(x, n)
            if not (np.array_equal(s, X + n) and np.array_equal(p, X * n)):
                wrong.append(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
