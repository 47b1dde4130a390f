"""Claims about memory, measured by counters: bytes held by arrays and calls, blocks asked of the
system, bytes of traces and handles; and the lower bound that liveness gives.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
import zipfile
from pathlib import Path

import numpy as np
import pytest
from seed_rows import close

import fx
import fx.numpy as fnp
from benchmarks import memory
from benchmarks.memory import measured, random
from fx import lax
from fx.ad_checkpoint import saved_residuals
from fx.jit import WRITE_AFTER

pytestmark = pytest.mark.driver

ROOT = Path(__file__).resolve().parent.parent
RNG = np.random.default_rng(0)


# ---------------------------------------------------------------- peaks

CHAIN = 32


def chain(x):
    for _ in range(CHAIN):
        x = fnp.sin(x)
    return x.sum()


def test_M4_Z10_a_compiled_chain_keeps_no_intermediates():
    x = random(1 << 16)
    for f in (chain, fx.checkpoint(chain)):
        peak, _, counters = measured(fx.jit(fx.grad(f)), x)
        assert peak + x.nbytes <= 3 * x.nbytes and counters.launches <= 2


def test_M4_an_eager_chain_keeps_one_array_an_operation():
    x = random(1 << 16)
    fx.vjp(chain, x)
    tracemalloc.start()
    out, pull = fx.vjp(chain, x)
    pull(fnp.ones_like(out))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= (CHAIN + 3) * x.nbytes + (1 << 20)


# the most that the peak may be of the bound
MOST = {"chain": 1.0, "diamond": 1.0, "softmax": 1.0, "layernorm": 1.0}
PROGRAMS = memory.programs()


@pytest.mark.parametrize("name", PROGRAMS)
def test_M7_Z24_peaks_are_near_the_bound(name):
    f, args = PROGRAMS[name]
    assert memory.peak_of(f, *args) / memory.liveness_bound(f, *args) <= MOST.get(name, 1.1)


# ---------------------------------------------------------------- nothing stays


def step(w, x):
    return w - 0.1 * fx.grad(lambda w: (fnp.tanh(x @ w) ** 2).mean())(w)


@pytest.mark.parametrize("wrap", [fx.jit, lambda f: f], ids=["M6-jit", "M20-eager"])
def test_M6_M20_T15_a_thousand_steps_leave_nothing(wrap):
    f, w, x = wrap(step), fnp.ones((8, 4)), fnp.ones((16, 8))
    for _ in range(WRITE_AFTER + 3 if wrap is fx.jit else 3):  # jit's call is written out then
        w = f(w, x)
    gc.collect()
    gc.disable()
    try:
        live, objects = fx.counters().live_bytes, len(gc.get_objects())
        for _ in range(1000):
            w = f(w, x)
        fx.block_until_ready(w)  # what is in flight holds what it reads
        assert fx.counters().live_bytes == live
        assert len(gc.get_objects()) - objects < 100
    finally:
        gc.enable()


def test_M3_the_thousandth_pullback_is_like_the_second():
    x = fnp.ones(100)
    _, pull = fx.vjp(fx.jit(lambda x: fnp.sin(fnp.exp(x))), x)
    pull(x)
    second = pull(x)[0]
    base = fx.counters()
    for _ in range(998):
        last = pull(x)[0]
    grown = fx.counters() - base
    assert np.array_equal(last, second)
    assert grown.live_bytes <= x.nbytes + 256 and grown.compiles == 0
    assert grown.launches <= 998


def test_M27_residuals_are_gone_when_grad_returns():
    x, f = fnp.ones(1000), fx.jit(lambda x: fnp.sin(fnp.exp(x)))
    g = fx.grad(lambda x: f(x).sum())
    g(x)
    gc.collect()
    gc.disable()
    try:
        base = fx.counters().live_bytes
        out = g(x)
        assert fx.counters().live_bytes - base <= out.nbytes + 128
        kept = []
        fx.grad(lambda x: kept.append(weakref.ref(y := fnp.exp(x).sum())) or y)(x)
        assert kept[0]() is None
    finally:
        gc.enable()


def test_M28_no_grad_costs_what_the_plain_function_costs():
    f = lambda x: fnp.exp(fnp.sin(x)) * 2
    x = fnp.ones(100)
    plain = len(fx.make_jaxpr(f)(x).eqns)
    quiet = fx.no_grad(f)
    names = [e.primitive.name for e in fx.make_jaxpr(lambda x: fx.vjp(quiet, x)[0])(x).eqns]
    assert len([n for n in names if n != "stop_gradient"]) == plain
    assert saved_residuals(quiet, x) == []


# ---------------------------------------------------------------- traces and handles


def test_M5_Z11_a_trace_holds_types():
    def f(x):
        for _ in range(1000):
            x = fnp.sin(x)
        return x

    x = fx.ShapeDtypeStruct((1 << 26,), np.float32)
    fx.make_jaxpr(f)(x)
    base = fx.counters().live_bytes
    tracemalloc.start()
    jaxpr = fx.make_jaxpr(f)(x)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(jaxpr.eqns) == 1000 and fx.counters().live_bytes == base
    assert held < 2048 * 1000 and peak < 4 << 20


def test_M34_handles_are_small():
    x = fnp.ones(3)
    assert sys.getsizeof(x) <= 200
    sizes = []
    fx.make_jaxpr(lambda x: sizes.append(sys.getsizeof(x)) or x)(x)
    assert sizes[0] <= 200


def test_M26_the_library_is_small(tmp_path):
    """The packed sources: less than a fifth of the 7.5 MB that the promise compares with (its aim,
    1 MB, is missed); tests/test_house.py times the import and sees that no driver is touched.
    """
    target = tmp_path / "sources.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for folder in ("fx", "lowering"):
            for path in (ROOT / folder).rglob("*.py"):
                packed.write(path, path.relative_to(ROOT))
    assert target.stat().st_size < 7.5e6 / 5


# ---------------------------------------------------------------- checkpoints, donation, loops


def layer(x, _):
    return fnp.sin(x) * 1.01, None


def test_M16_checkpointed_layers_keep_a_square_root():
    """64 equal layers: all their activations, or those of 8 segments and of one at a time."""
    x = random(1000)

    def plain(x):
        return lax.scan(layer, x, None, length=64)[0].sum()

    def segmented(x):
        segment = fx.checkpoint(lambda x, _: lax.scan(layer, x, None, length=8))
        return lax.scan(segment, x, None, length=8)[0].sum()

    def kept(f):
        return sum(a.size * 4 for a, where in saved_residuals(f, x) if "argument" not in where)

    assert kept(plain) >= 64 * x.nbytes
    assert kept(segmented) <= 16 * x.nbytes
    nothing = fx.checkpoint_policies.nothing_saveable
    assert kept(fx.checkpoint(plain, policy=nothing)) <= 64
    assert np.array_equal(fx.grad(segmented)(x), fx.grad(plain)(x))
    close(fx.jit(fx.grad(segmented))(x), fx.grad(plain)(x), 1e-5, "jit")
    most, least = (measured(fx.jit(fx.grad(f)), x)[0] for f in (plain, segmented))
    assert least <= max(most, 24 * x.nbytes)


def test_M17_T8_T32_donated_steps_allocate_nothing_more():
    params = [random(100, 10) for _ in range(50)]
    grads = [fnp.ones_like(p) for p in params]
    descend = lambda p, g: [a - 0.1 * b for a, b in zip(p, g)]
    f = fx.jit(descend, donate_argnums=0)
    for _ in range(3):
        params = f(params, grads)
    before = fx.counters()
    params = fx.block_until_ready(f(params, grads))
    grown = fx.counters() - before
    assert grown.alloc_count == 0 and grown.live_bytes <= 0


def test_M17_a_loop_of_updates_keeps_one_buffer():
    """1000 updates of an array of 1000 entries take a few arrays, not a thousand."""
    f = fx.jit(lambda x: lax.fori_loop(0, 1000, lambda i, x: x.at[i].add(1.0), x))
    x = fnp.zeros(1000)
    peak, _, _ = measured(f, x)
    assert peak <= 4 * x.nbytes + 1024
    assert np.array_equal(f(x), np.ones(1000))


# ---------------------------------------------------------------- mistakes cost nothing

M, V = fnp.ones((2, 3)), fnp.ones(4)
ILL_TYPED = [
    lambda: M @ M, lambda: M + V, lambda: fnp.concatenate([M, V]), lambda: fnp.stack([M, V]),
    lambda: M.reshape(4), lambda: fnp.transpose(M, (0, 0)), lambda: fnp.squeeze(M, 0),
    lambda: fnp.sum(M, 2), lambda: fnp.dot(M, V), lambda: fnp.einsum("ij,jk", M, M),
    lambda: fnp.tensordot(M, V, 1), lambda: fnp.broadcast_to(V, (2, 3)), lambda: fnp.where(M, V, M),
    lambda: fnp.linalg.inv(M), lambda: fnp.linalg.cholesky(V), lambda: fnp.linalg.solve(M, V),
    lambda: lax.slice(V, (0,), (5,)), lambda: lax.dynamic_slice(V, (0, 0), (1,)),
    lambda: lax.conv(M, M, (1, 1), "SAME"), lambda: lax.scan(lambda c, x: (c, x), 0.0, (M, V)),
    lambda: lax.cond(True, lambda: M, lambda: V), lambda: lax.select(M, V, V),
    lambda: lax.while_loop(lambda c: c, lambda c: c, 1.0), lambda: fx.vmap(fnp.add)(M, V),
    lambda: fx.grad(fnp.sin)(V), lambda: fx.grad(lambda n: n * 1.0)(1),
    lambda: fx.jvp(fnp.sin, (V,), (M,)), lambda: fx.vjp(fnp.sin, V)[1](M),
    lambda: lax.dot_general(M, V, (((0,), (0,)), ((), ()))),
    lambda: lax.bitwise_and(M, M),
]  # fmt: skip


def test_M21_T25_thirty_ill_typed_programs():
    assert len(ILL_TYPED) == 30
    for k, program in enumerate(ILL_TYPED):
        before = fx.counters()
        with pytest.raises((TypeError, ValueError)) as caught:
            program()
        grown = fx.counters() - before
        assert (grown.launches, grown.live_bytes) == (0, 0), k
        assert len(str(caught.value)) > 20, k


def test_M30_a_mismatch_of_a_gigabyte_is_found_without_the_gigabyte():
    big = fx.ShapeDtypeStruct((1 << 14, 1 << 14), np.float32)
    before = fx.counters().live_bytes
    tracemalloc.start()
    with pytest.raises(TypeError):
        fx.eval_shape(lambda x: x @ fnp.ones(3), big)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert fx.counters().live_bytes == before and peak < 1 << 20
