"""Claims about work, measured by counters: launches, builds, equations, operations; no clocks."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from seed_rows import FORMS, close, f32
from test_seeds_flodl_ops import ACTIVATIONS, ARITHMETIC
from test_seeds_zyx import launches_of

import fx
import fx.numpy as fnp
import fx.optim as optim
from fx import lax, nn
from fx.passes import count_eqns, cse_jaxpr, dce_closed

pytestmark = pytest.mark.driver

ROOT = Path(__file__).resolve().parent.parent


def twenty(x):
    for _ in range(10):
        x = fnp.sin(x) * 1.5
    return x


def attention(q, k, v):
    return nn.softmax(q @ k.T / 8) @ v


def mlp(params, x):
    for w, b in params:
        x = fnp.tanh(x @ w + b)
    return x


def layers(*sizes):
    return [(fnp.ones((m, n)) / m, fnp.zeros(n)) for m, n in itertools.pairwise(sizes)]


def counts(f, *args, names=("exp", "tanh", "logistic", "dot_general")):
    jaxpr = cse_jaxpr(fx.make_jaxpr(f)(*args).jaxpr)
    return {n: count_eqns(jaxpr, n) for n in names}


def test_M1_forward_work_appears_once():
    f = lambda x: (fnp.exp(x) * fnp.tanh(x) * nn.sigmoid(x)).sum()
    x = fnp.ones(3)
    assert counts(fx.value_and_grad(f), x) == counts(f, x) == {
        "exp": 1, "tanh": 1, "logistic": 1, "dot_general": 0,
    }  # fmt: skip
    params = layers(3, 4, 4, 2)
    loss = lambda p: (mlp(p, fnp.ones((5, 3))) ** 2).sum()
    forward, both = counts(loss, params), counts(fx.value_and_grad(loss), params)
    # three forward, three for the weights, two for the inputs of the later layers
    assert (both["tanh"], both["dot_general"]) == (forward["tanh"], 8) == (3, 8)


def test_M9_Z25_launches_of_fused_programs():
    x = fnp.ones((256, 128))
    w, b = fnp.ones((128, 128)), fnp.ones(128)
    assert launches_of(fx.jit(lambda x, y: fnp.exp(x + y) - x), x, x) == 1
    assert launches_of(fx.jit(twenty), x) == 1
    assert launches_of(fx.jit(nn.softmax), x) <= 2
    assert launches_of(fx.jit(nn.layer_norm), x) <= 2
    assert launches_of(fx.jit(fx.grad(lambda p, t: ((p - t) ** 2).mean())), x, x) <= 2
    layer = lambda p, x: (nn.gelu(x @ p[0] + p[1]) ** 2).mean()
    assert launches_of(fx.jit(fx.value_and_grad(layer)), (w, b), x) <= 8


def test_M36_adam_and_clipping_are_few_kernels():
    """One kernel for all parameters of a dtype (and one for the step count, an integer)."""
    params = {str(k): fnp.ones((32, 8 + k)) for k in range(6)}
    opt = optim.adam(1e-3)
    state = opt.init(params)

    def step(params, state, grads):
        updates, state = opt.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    assert launches_of(fx.jit(step), params, state, params) <= 2
    clip = optim.clip_by_global_norm(1.0)
    assert launches_of(fx.jit(lambda g: clip.update(g, clip.init(g))[0]), params) <= 2


NTH = {
    "sin": (fnp.sin, lambda n, x: np.sin(x + n * np.pi / 2)),
    "exp": (fnp.exp, lambda n, x: np.exp(x)),
    "x**10": (
        lambda x: x**10,
        lambda n, x: np.prod(np.arange(10, 10 - n, -1.0)) * x ** (10 - n),
    ),
}


@FORMS
@pytest.mark.parametrize("name", NTH)
def test_M10_derivatives_to_order_ten(form, name):
    f, exact = NTH[name]
    forward = lambda g: lambda x: fx.jvp(g, (x,), (fnp.ones_like(x),))[1]
    with fx.enable_x64():
        x = np.float64(0.7)
        for mode in (fx.grad, forward):
            g = f
            for n in range(1, 11):
                g = mode(g)
                if n in (1, 2, 5, 10):
                    assert float(form(g)(x)) == pytest.approx(exact(n, 0.7), rel=1e-10), n


def test_M10_tanh_by_its_polynomial():
    """The derivatives are polynomials in t = tanh: p -> p' (1 - t^2)."""
    with fx.enable_x64():
        t, p, g = np.tanh(0.7), np.polynomial.Polynomial([0, 1]), fnp.tanh
        sizes = []
        for n in range(1, 11):
            p, g = p.deriv() * np.polynomial.Polynomial([1, 0, -1]), fx.grad(g)
            if n <= 6:
                assert float(g(np.float64(0.7))) == pytest.approx(p(t), rel=1e-10)
                jaxpr = fx.make_jaxpr(g)(np.float64(0.7)).jaxpr
                sizes.append(count_eqns(cse_jaxpr(dce_closed_jaxpr(jaxpr))))
        assert all(b < 2.5 * a + 8 for a, b in itertools.pairwise(sizes)), sizes


def dce_closed_jaxpr(jaxpr):
    return dce_closed(fx.core.ClosedJaxpr(jaxpr, []))[0].jaxpr


def test_M12_T16_the_interpreter_gives_what_kernels_give():
    rows = [*ARITHMETIC, *ACTIVATIONS]
    run = lambda: fx.jit(lambda every: [r.fun(*a) for r, a in zip(rows, every)])(
        [r.args for r in rows]
    )
    device = fx.tree_util.tree_leaves(run())
    with fx.default_device("interpreter"):
        interpreted = fx.tree_util.tree_leaves(run())
    close(device, interpreted, 1e-5, "interpreter")


def test_Z26_the_host_is_counted(counted):
    f = fx.jit(lambda x: fnp.exp(fnp.sin(x) @ x.T).sum(0))
    f(np.ones((8, 8), "f"))
    assert counted().host_steps == 0
    fx.jit(fnp.linalg.eigh)(np.eye(3, dtype="f"))
    assert counted().host_steps == 1


def test_M14_T30_warm_calls_only_launch(counted):
    f = fx.jit(lambda x: (fnp.sin(x) ** 2).sum())
    g = fx.jit(fx.grad(lambda x: (fnp.sin(x) ** 2).sum()))
    x = fnp.ones(1 << 12)
    value, grad = launches_of(f, x), launches_of(g, x)
    assert grad <= 3 * value
    before = fx.counters()
    fx.block_until_ready(f(x))
    warm = fx.counters() - before
    assert (warm.calls, warm.launches, warm.compiles, warm.copies, warm.host_steps) == (
        1, value, 0, 0, 0,
    )  # fmt: skip


def test_M14_a_thousand_operations_are_a_thousand_equations():
    def chain(x):
        for _ in range(1000):
            x = x + 1.0
        return x

    assert count_eqns(fx.make_jaxpr(chain)(1.0)) == 1000
    forward = lambda x: fx.vjp(chain, x)[0]
    assert count_eqns(fx.make_jaxpr(forward)(1.0)) <= 1050  # 5 % for recording


def flops(f, *args):
    return fx.explain(f)(*args).flops


def test_M15_T31_work_of_jacobians():
    wide = lambda x: fnp.sin(x * fnp.arange(1.0, 513))  # one input, 512 outputs
    tall = lambda x: fnp.sin(x * fnp.arange(1.0, 513)).sum()[None]  # 512 inputs, one output
    assert flops(fx.jacrev(wide), fnp.ones(1)) > 5 * flops(fx.jacfwd(wide), fnp.ones(1))
    assert flops(fx.jacfwd(tall), fnp.ones(512)) > 5 * flops(fx.jacrev(tall), fnp.ones(512))
    f = lambda x: (fnp.sin(x) * fnp.exp(x)).sum()
    for n in (64, 1024):
        x, work = fnp.ones(n), flops(f, fnp.ones(n))
        assert flops(lambda x, t: fx.jvp(f, (x,), (t,)), x, x) <= 3 * work
        assert flops(fx.value_and_grad(f), x) <= 4 * work


def test_M18_T24_wrappers_without_use_cost_nothing():
    @fx.custom_vjp
    def wrapped(x):
        return fnp.exp(x) * 2

    wrapped.defvjp(lambda x: (wrapped(x), x), lambda x, ct: (ct,))

    @fx.custom_jvp
    def jvp_wrapped(x):
        return fnp.exp(x) * 2

    jvp_wrapped.defjvps(lambda t, ans, x: t)
    plain = lambda x: fnp.exp(x) * 2
    forms = (plain, wrapped, jvp_wrapped, lambda x: lax.stop_gradient(plain(x)),
             fx.checkpoint(plain), fx.no_grad(plain))  # fmt: skip
    texts = {fx.jit(f).lower(fnp.ones(64)).compile().as_text() for f in forms}
    assert len(texts) == 1


def test_M19_T26_only_the_products_that_are_asked_for():
    """Forward three; the last layer's weights one more; the first layer's all the way back."""
    x = fnp.ones((5, 3))
    loss = lambda a, b, c: (mlp([a, b, c], x) ** 2).sum()
    args = layers(3, 4, 4, 2)
    products = []
    for k in range(3):
        closed = dce_closed(fx.make_jaxpr(fx.grad(loss, k))(*args))[0]
        products.append(count_eqns(cse_jaxpr(closed.jaxpr), "dot_general"))
    assert products == [3 + 3, 3 + 2, 3 + 1]


def test_M23_gradient_kernels_are_compiled_fused_and_kept():
    params = layers(64, 32, 10)
    x = fnp.ones((16, 64))
    g = fx.jit(fx.grad(lambda p: (mlp(p, x) ** 2).mean()))
    assert launches_of(g, params) <= 12
    bias_gelu = lambda x, b: nn.gelu(x + b)
    assert launches_of(fx.jit(bias_gelu), x, fnp.ones(64)) == 1
    fx.block_until_ready(g(params))
    fx.clear_caches()
    before = fx.counters()
    fx.block_until_ready(fx.jit(fx.grad(lambda p: (mlp(p, x) ** 2).mean()))(params))
    again = fx.counters() - before
    assert again.compiles == 0


@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
def test_M24_gradients_agree_at_every_size(size):
    loss = lambda w, x: ((fnp.tanh(w * x) - 0.5) ** 2).mean()
    x = np.linspace(-1, 1, size, dtype=np.float32)
    device = fx.jit(fx.grad(loss))(fnp.float32(0.3), x)
    with fx.default_device("interpreter"):
        close(device, fx.jit(fx.grad(loss))(fnp.float32(0.3), x), 1e-5, str(size))
    close(device, fx.grad(loss)(fnp.float32(0.3), x), 1e-5, "eager")


@FORMS
def test_M25_micro_batches(form, rng):
    x, y = f32(rng.normal(size=(8, 4, 3))), f32(rng.normal(size=(8, 4)))
    loss = lambda w, x, y: ((x @ w - y) ** 2).mean()
    w = f32(rng.normal(size=3))
    full = lambda w: fx.grad(loss)(w, x.reshape(32, 3), y.reshape(32))
    mapped = lambda w: fx.vmap(fx.grad(loss), (None, 0, 0))(w, x, y).mean(0)
    looped = lambda w: sum(fx.grad(loss)(w, a, b) for a, b in zip(x, y)) / 8
    wanted = full(w)
    for way in (full, mapped, looped):
        close(form(way)(w), wanted, 1e-5, "micro-batches")


def test_M25_mapping_launches_less_than_a_loop(rng):
    x = fnp.asarray(f32(rng.normal(size=(8, 4, 3))))
    g = fx.jit(fx.grad(lambda w, x: (fnp.tanh(x @ w) ** 2).mean()))
    w = fnp.ones(3)
    mapped = fx.jit(lambda w, x: fx.vmap(g, (None, 0))(w, x).mean(0))
    loop = lambda w, x: [g(w, x[k]) for k in range(8)]
    assert launches_of(loop, w, x) >= 3 * launches_of(mapped, w, x)


def smooth_operands(row):
    """The row's operands where differences mean something: finite, moderate, away from kinks."""
    args = [np.asarray(a) for a in row.args]
    if row.name.endswith("-value"):
        args = [a[np.isfinite(a) & (np.abs(a) < 3) & (np.abs(a) > 0.01)] for a in args]
    return args


GRADIENT_CHECKED = [
    r for r in (*ARITHMETIC, *ACTIVATIONS)
    if (r.grads or r.name.endswith("-value")) and r.name != "softmax-masked"
]  # fmt: skip


@pytest.mark.parametrize("row", GRADIENT_CHECKED, ids=lambda r: r.name)
def test_M33_gradient_checks(row):
    """At 1e-3 in single precision and 1e-7 in double."""
    args = smooth_operands(row)
    fx.check_grads(row.fun, args, order=1, atol=1e-3, rtol=1e-3)
    with fx.enable_x64():
        wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in args]
        fx.check_grads(row.fun, wide, order=1, atol=1e-7, rtol=1e-7)


def test_M35_a_small_network_steps_in_ten_kernels():
    params = layers(784, 128, 10)
    opt = optim.sgd(0.1)
    x, y = fnp.ones((64, 784)), fnp.zeros((64, 10))

    def step(params, state):
        grads = fx.grad(lambda p: losses_of(p, x, y))(params)
        updates, state = opt.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    assert launches_of(fx.jit(step), params, opt.init(params)) <= 10


def losses_of(params, x, y):
    (w, b), (v, c) = params
    return ((nn.relu(x @ w + b) @ v + c - y) ** 2).mean()


def test_M22_tests_and_lint():
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "--collect-only", "-q"]
    out = subprocess.run(
        [*command, "tests/test_seeds_flodl_ops.py", "tests/test_seeds_flodl_nn.py"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    ).stdout  # fmt: skip
    assert int(re.search(r"(\d+) tests collected", out)[1]) > 334
    lint = [sys.executable, "-m", "ruff", "check", "--quiet", "fx", "lowering"]
    assert subprocess.run(lint, cwd=ROOT, check=False, capture_output=True).stdout == b""
