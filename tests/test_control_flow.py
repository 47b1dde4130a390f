"""Loops and branches under every transformation, against plain Python that does the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from lowering.runtime import devices

X = jnp.array([0.5, -1.0, 2.0])
W = jnp.array([0.9, 1.1, 0.5])
XS = jnp.cos(jnp.arange(12.0)).reshape(4, 3)


def close(a: Any, b: Any, rtol: float = 2e-5) -> None:
    """Equal trees within rounding."""
    for x, y in zip(fx.tree.leaves(a), fx.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol, 1e-5)


# ---------------------------------------------------------------- programs, and the same in Python


def body(w: Any) -> Any:
    return lambda c, y: (jnp.sin(c * w) + y, c * y)


def scan_loss(w: Any, x: Any, xs: Any, **options: Any) -> Any:
    c, ys = lax.scan(body(w), x, xs, **options)
    return (c * c).sum() + ys.sum()


def python_loss(w: Any, x: Any, xs: Any, reverse: bool = False) -> Any:
    ys, c = [], x
    for k in reversed(range(len(xs))) if reverse else range(len(xs)):
        c, y = body(w)(c, xs[k])
        ys.append(y)
    return (c * c).sum() + sum(y.sum() for y in ys)


def cond_program(w: Any, x: Any) -> Any:
    return lax.cond(x.sum() > 1, lambda a: jnp.sin(a) * w, lambda a: a * a, x).sum()


def python_cond(w: Any, x: Any) -> Any:
    return (jnp.sin(x) * w).sum() if x.sum() > 1 else (x * x).sum()


def switch_program(x: Any) -> Any:
    k = (x.sum() * 2).astype(int)
    return lax.switch(k, [lambda a: a * W, lambda a: jnp.exp(a), lambda a: -a], x).sum()


def python_switch(x: Any) -> Any:
    k = min(max(int(x.sum() * 2), 0), 2)
    return [lambda a: a * W, lambda a: jnp.exp(a), lambda a: -a][k](x).sum()


def while_program(x: Any) -> Any:
    return lax.while_loop(
        lambda c: c[0] < 9, lambda c: (c[0] * 1.5, jnp.sin(c[1]) * W + c[0]), (x[0], x)
    )[1]


def python_while(x: Any) -> Any:
    s, v = x[0], x
    while s < 9:
        s, v = s * 1.5, jnp.sin(v) * W + s
    return v


def nested(w: Any, x: Any) -> Any:
    def outer(c: Any, _: Any) -> Any:
        d = lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * w + i, c)
        return lax.cond(d.sum() > 0, lambda d: d * 2.0, lambda d: d * d, d), d

    c, ys = lax.scan(outer, x, None, length=3)
    return c.sum() + ys.sum()


def python_nested(w: Any, x: Any) -> Any:
    total, c = 0.0, x
    for _ in range(3):
        for i in range(3):
            c = jnp.sin(c) * w + i
        total = total + c.sum()
        c = c * 2.0 if c.sum() > 0 else c * c
    return c.sum() + total


PAIRS: dict[str, Any] = {
    "scan": (scan_loss, python_loss, (W, X, XS)),
    "reverse scan": (
        lambda *a: scan_loss(*a, reverse=True),
        lambda *a: python_loss(*a, reverse=True),
        (W, X, XS),
    ),
    "cond": (cond_program, python_cond, (W, X)),
    "cond, other branch": (cond_program, python_cond, (W, -X)),
    "switch": (switch_program, python_switch, (X * 0.4,)),
    "switch, clamped": (switch_program, python_switch, (X * 9,)),
    "nested": (nested, python_nested, (W, X)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_value_and_derivatives(name: str) -> None:
    """Values, gradients, tangents, and forward over reverse agree with the Python program's."""
    f, g, args = PAIRS[name]
    nums = tuple(range(len(args)))
    ts = tuple(jnp.cos(a) for a in args)
    close(f(*args), g(*args))
    close(fx.grad(f, nums)(*args), fx.grad(g, nums)(*args))
    close(fx.jvp(f, args, ts), fx.jvp(g, args, ts))
    close(fx.jvp(fx.grad(f, nums), args, ts), fx.jvp(fx.grad(g, nums), args, ts), 2e-4)


@pytest.mark.lowering
@pytest.mark.parametrize("name", PAIRS)
def test_jit(name: str) -> None:
    """Compiled values and gradients are the eager ones."""
    f, _, args = PAIRS[name]
    both = fx.value_and_grad(f, tuple(range(len(args))))
    close(fx.jit(both)(*args), both(*args))


@pytest.mark.parametrize("name", PAIRS)
def test_vmap(name: str) -> None:
    """A batch of programs, and of their gradients, is a loop over the examples."""
    f, _, args = PAIRS[name]
    nums = tuple(range(len(args)))
    stacked = [jnp.stack([a * s for s in (1.0, -0.5, 0.3)]) for a in args]
    for g in (f, fx.grad(f, nums)):
        found = fx.vmap(g)(*stacked)
        for k in range(3):
            close(fx.tree.map(lambda v, k=k: v[k], found), g(*(s[k] for s in stacked)), 1e-4)
    close(fx.vmap(f, (0, *[None] * (len(args) - 1)))(stacked[0], *args[1:])[0], f(*args))


def test_while_forward_and_batched() -> None:
    """while_loop: values, tangents, a batch whose examples end at different times."""
    close(while_program(X), python_while(X))
    close(fx.jvp(while_program, (X,), (W,)), fx.jvp(python_while, (X,), (W,)))
    close(fx.jacfwd(while_program)(X), fx.jacfwd(python_while)(X))
    batch = jnp.stack([X, X * 4, X * 30, X + 0.01])
    close(fx.vmap(while_program)(batch), jnp.stack([python_while(x) for x in batch]))


def test_while_reverse_needs_a_bound() -> None:
    """Reverse mode says what to do; with max_steps it gives the gradient of the Python loop."""
    with pytest.raises(ValueError, match="Reverse-mode differentiation does not work"):
        fx.grad(lambda x: while_program(x).sum())(X)

    def limited(x: Any, steps: int = 20) -> Any:
        def more(c: Any) -> Any:
            return c[0] < 9

        step = lambda c: (c[0] * 1.5, jnp.sin(c[1]) * W + c[0])
        return lax.while_loop(more, step, (x[0], x), max_steps=steps)[1].sum()

    want = fx.grad(lambda x: python_while(x).sum())(X)
    close(fx.grad(limited)(X), want)
    batch = jnp.stack([X, X * 4])
    close(fx.vmap(fx.grad(limited))(batch)[0], want)
    assert not np.allclose(limited(X, 2), limited(X))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [True, 2, 3, 9])
def test_scan_checkpoint(steps: Any, reverse: bool) -> None:
    """Checkpointed segments give the same values and gradients, and keep fewer residuals."""
    plain = fx.value_and_grad(lambda w: scan_loss(w, X, XS, reverse=reverse))(W)
    saved = fx.value_and_grad(lambda w: scan_loss(w, X, XS, reverse=reverse, checkpoint=steps))(W)
    close(plain, saved)


def test_fori_map_associative() -> None:
    """fori_loop, map and associative_scan against NumPy."""
    close(lax.fori_loop(2, 6, lambda i, x: x + i, 1.0), 1.0 + 2 + 3 + 4 + 5)
    dynamic = fx.jit(lambda n: lax.fori_loop(0, n, lambda i, x: x * 2 + i, 1))
    assert int(dynamic(5)) == 58
    close(lax.map(lambda a: a * W, XS), XS * W)
    close(lax.map(lambda a: a * W, XS, batch_size=3), XS * W)
    close(lax.map(lambda a: a * W, XS, batch_size=0), XS * W)
    for n in range(1, 9):
        x = np.linspace(0.5, 1.5, n).astype(np.float32)
        close(lax.associative_scan(jnp.multiply, x), np.cumprod(x))
        close(lax.associative_scan(jnp.add, x, reverse=True), np.cumsum(x[::-1])[::-1], 1e-4)
    pair = lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1])
    a, b = XS[:, 0], XS[:, 1]
    recurrence, want = np.float32(0), []
    for p, q in zip(np.asarray(a), np.asarray(b)):
        recurrence = recurrence * p + q
        want.append(recurrence)
    close(lax.associative_scan(pair, (a, b))[1], np.array(want))


def test_residuals_of_a_loop() -> None:
    """What does not change along the loop is not stacked, and zero tangents make no work."""

    def f(w: Any) -> Any:
        return lax.scan(lambda c, x: (c * jnp.sin(w) + x, None), X, XS)[0].sum()

    _, linear = fx.linearize(f, W)
    scans = [e for e in fx.make_jaxpr(linear)(W).eqns if e.primitive.name == "scan"]
    assert len(scans) == 1
    operands = [v.aval.shape for v in scans[0].invars]
    assert sum(s[:1] == (4,) for s in operands) <= 1  # the carries; cos(w) is one constant
    text = str(fx.make_jaxpr(fx.grad(lambda x: lax.fori_loop(0, 3, lambda i, c: c + i, x)))(1.0))
    assert "float0" not in text


@fx.custom_jvp
def tripled(x: Any) -> Any:
    """sin, with a derivative that shows whether the rule is used."""
    return jnp.sin(x)


tripled.defjvp(lambda primals, tangents: (tripled(*primals), 3 * tangents[0]))


@fx.custom_vjp
def lopsided(x: Any, y: Any) -> Any:
    """x y, with cotangents 2 y and 3 x."""
    return x * y


lopsided.defvjp(
    lambda x, y: (x * y, (x, y)), lambda saved, ct: (2 * ct * saved[1], 3 * ct * saved[0])
)


def test_custom_rules_in_loops() -> None:
    """Custom rules, checkpoints and jitted functions in bodies act as in Python loops."""
    inner = fx.jit(lambda c: jnp.sin(c) * W)

    def step(w: Any) -> Any:
        def body(c: Any, y: Any) -> Any:
            c = tripled(c * w) + lopsided(y, c)
            return fx.checkpoint(lambda v: jnp.sin(jnp.sin(v)))(inner(c)), c

        return body

    def scanned(w: Any) -> Any:
        c, ys = lax.scan(step(w), X, XS)
        return (c * c).sum() + ys.sum()

    def looped(w: Any) -> Any:
        c, total = X, 0.0
        for y in XS:
            c, out = step(w)(c, y)
            total = total + out.sum()
        return (c * c).sum() + total

    close(fx.value_and_grad(scanned)(W), fx.value_and_grad(looped)(W))
    close(fx.vmap(fx.grad(scanned))(XS)[2], fx.grad(looped)(XS[2]), 1e-4)


def test_disable_jit() -> None:
    """Under disable_jit loops and branches run as Python, on values that can be looked at."""
    seen = []

    def body(c: Any, x: Any) -> Any:
        seen.append(float(c))
        return c + x, c

    with fx.disable_jit():
        c, ys = lax.scan(body, 0.0, jnp.arange(3.0))
        doubled = lax.while_loop(lambda v: v < 5, lambda v: v * 2, 1)
        assert isinstance(doubled, fx.Array) and doubled == 8 and doubled.weak_type
        assert lax.cond(True, lambda: 1, lambda: 1 / 0) == 1
        assert lax.fori_loop(0, 3, lambda i, v: v + i, 0) == 3
    assert float(c) == 3 and seen == [0, 0, 1]
    np.testing.assert_array_equal(ys, [0, 0, 1])


def test_weak_types() -> None:
    """A weakly typed carry takes the dtype that the body gives it."""
    assert lax.scan(lambda c, x: (c * x, x), 1, X)[0].dtype == jnp.float32
    assert lax.while_loop(lambda c: c < 3, lambda c: c + X[0], 1).dtype == jnp.float32
    assert lax.fori_loop(0, 3, lambda i, c: c + i, jnp.int8(0)).dtype == jnp.int8


ERRORS: list[Any] = [
    (
        lambda: lax.scan(lambda c, _: (c.astype(int), None), X, None, 3),
        r"The input carry c has type float32\[3\] but the corresponding output carry component "
        r"has type "
        r"int32\[3\], so the dtypes do not match",
    ),
    (
        lambda: lax.scan(lambda c, _: ({"a": c["a"][:2]}, None), {"a": X}, None, 3),
        r"carry component c\['a'\] has type float32\[3\].*float32\[2\], so the shapes do not match",
    ),
    (lambda: lax.scan(lambda c, _: ((c, c), None), X, None, 3), "same pytree structure"),
    (lambda: lax.scan(lambda c, _: c, X, None, 3), "scan body output must be a pair"),
    (
        lambda: lax.scan(lambda c, x: (c, x), X, (X, jnp.ones(4))),
        "different leading axis sizes: 3, 4",
    ),
    (lambda: lax.scan(lambda c, x: (c, x), X, X, length=4), "disagrees with leading axis sizes"),
    (lambda: lax.scan(lambda c, x: (c, x), X, None), "`length` not provided"),
    (
        lambda: lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0], c[1].astype(int)), (X, 1.0)),
        r"while_loop body function.*c\[1\] has type float32\[\].*int32\[\]",
    ),
    (lambda: lax.while_loop(lambda c: c, lambda c: c, X), "cond_fun must return a boolean scalar"),
    (lambda: lax.fori_loop(0.0, 3, lambda i, c: c, X), "must have equal types"),
    (
        lambda: lax.cond(True, lambda x: x, lambda x: x[:1], X),
        r"true_fun has type float32\[3\] but the corresponding output of false_fun has type "
        r"float32\[1\]",
    ),
    (lambda: lax.cond(True, lambda x: (x, 1), lambda x: {"a": x}, X), "same pytree structure"),
    (lambda: lax.cond(X, lambda x: x, lambda x: x, X), "Pred must be a scalar"),
    (lambda: lax.switch(1.0, [lambda x: x], X), "Index type must be an integer"),
    (lambda: lax.switch(1, [], X), "Empty branch sequence"),
]


@pytest.mark.parametrize("k", range(len(ERRORS)))
def test_errors(k: int) -> None:
    """Mismatches name the carry's leaf or the branches, with JAX's words."""
    call, text = ERRORS[k]
    with pytest.raises((TypeError, ValueError), match="(?s)" + text):
        call()


def test_products_in_tiles_inside_a_loop():
    """Gradient descent on 500 rows: the body's products are too long for the loop's own kernel."""
    x = np.random.default_rng(0).standard_normal((500, 20)).astype(np.float32)
    y = np.sign(x[:, 0])

    def loss(w):
        return jnp.mean(jnp.logaddexp(0, -y * (x @ w)))

    def fit(w):
        return lax.scan(lambda w, _: (w - 0.1 * fx.grad(loss)(w), None), w, None, length=30)[0]

    w = np.zeros(20)
    for _ in range(30):
        w += 0.1 * ((y / (1 + np.exp(y * (x @ w)))) @ x) / 500
    np.testing.assert_allclose(fx.jit(fit)(np.zeros(20, np.float32)), w, rtol=1e-4, atol=1e-5)


@pytest.mark.driver
@pytest.mark.parametrize("n", [64, 1 << 16])
def test_any_over_many_lanes_is_asked_lane_by_lane(n):
    x = np.linspace(-20, 20, n).astype(np.float32)

    def root(y):
        def halve(c):
            low, high = c
            middle = 0.5 * (low + high)
            below = middle**3 + middle < y
            return fx.numpy.where(below, middle, low), fx.numpy.where(below, high, middle)

        going = lambda c: c[1] - c[0] > 1e-5
        return fx.lax.while_loop(going, halve, (y * 0 - 10, y * 0 + 10))[0]

    function = fx.jit(fx.vmap(root))
    np.testing.assert_allclose(function(x) ** 3 + function(x), x, rtol=1e-3, atol=1e-3)
    assert "independent lanes" in str(fx.explain(fx.vmap(root))(x))


# What a step stacks, its own branches and loops read as well.

U = jnp.sin(jnp.arange(128.0 * 128)).reshape(128, 128) * 0.1


def gated(h, x):
    on = h.sum() > 0
    return lax.cond(on, lambda: jnp.tanh(h @ U) - x, lambda: x - h), on.astype(jnp.int32)


def rows_of_rows(c, x):
    rows = jnp.tanh(c @ U) + x
    return c + lax.scan(lambda h, r: (jnp.tanh(h @ U + r), None), c[0], rows)[0], rows


def row_in_a_loop(c, x):
    row = jnp.tanh(c @ U) + x
    odd = (row.sum() > 0).astype(jnp.int32)

    def step(k, h):
        return lax.cond((odd + k) % 2 > 0, lambda: jnp.tanh(h @ U), lambda: row)

    return lax.fori_loop(0, 7, step, c), (row, odd)


@pytest.mark.driver
@pytest.mark.parametrize(
    ("step", "rows"), [(gated, ()), (rows_of_rows, (16,)), (row_in_a_loop, (16,))]
)
def test_what_a_step_stacks_is_read_by_its_own_branches_and_loops(step, rows):
    x = jnp.cos(jnp.arange(20.0 * 128 * (*rows, 1)[0])).reshape(20, *rows, 128)
    close(fx.jit(lambda: lax.scan(step, x[0], x))(), lax.scan(step, x[0], x), 1e-3)


@pytest.mark.driver
def test_the_gradient_of_a_branch_in_a_long_scan():
    on = jnp.arange(20) % 3 > 0

    def last(u):
        def step(h, t):
            return lax.cond(t, lambda: jnp.tanh(h @ u + 0.5), lambda: h), None

        return (lax.scan(step, jnp.zeros(128), on)[0] ** 2).sum()

    close(fx.jit(fx.grad(last))(U), fx.grad(last)(U), 1e-3)


@pytest.mark.driver
def test_a_long_step_of_arrays_without_lanes_is_made_of_stages():
    lp, le = jnp.sin(jnp.arange(256.0)).reshape(16, 16), jnp.cos(jnp.arange(640.0)).reshape(40, 16)

    def forward(le):
        def step(a, e):
            a = fx.nn.logsumexp(a[:, None] + lp, axis=0) + e
            return a, a

        return lax.scan(step, le[0], le[1:])

    close(fx.jit(forward)(le), forward(le), 1e-4)
    if "one kernel" in str(fx.explain(forward)(le)):
        assert "more than 2500 operations" in str(fx.explain(forward)(le))


@pytest.mark.driver
def test_a_while_loop_after_other_work_begins_without_commands_for_copies():
    a = jnp.eye(40) * 2 + 0.1 * jnp.sin(jnp.arange(1600.0)).reshape(40, 40)

    def solve(b):
        def step(c):
            x, r, p, k = c
            q = a @ p
            t = (r @ r) / (p @ q)
            n = r - t * q
            return x + t * p, n, n + (n @ n) / (r @ r) * p, k + 1

        r = b - a @ (b * 0.1)
        going = lambda c: (c[1] @ c[1] > 1e-6) & (c[3] < 50)
        return lax.while_loop(going, step, (b * 0.1, r, r, 0))[0]

    b = jnp.cos(jnp.arange(40.0))
    compiled = fx.jit(solve).lower(b).compile()
    close(compiled(b), solve(b), 1e-3)
    profile = devices.default_device().profile
    if profile.schedule == "cpu" and profile.driver != "interpreter":
        assert not any(type(s).__name__ == "CopyStep" for s in compiled._plan.steps)


def test_what_all_branches_hand_on_is_no_result_of_the_choice():
    """So vmap knows that it does not depend on a mapped choice, and the choice does not copy it."""

    def chosen(i: Any, x: Any, y: Any) -> Any:
        return lax.switch(i, [lambda x, y: (x + 1, y), lambda x, y: (x, y)], x, y)

    def both(i: Any, x: Any, y: Any) -> Any:
        return lax.cond(i > 0, lambda x, y: (y, x), lambda x, y: (y, x), x, y)

    i, x = jnp.arange(2), jnp.ones(2)
    for y in (7.0, np.arange(3.0, dtype=np.float32), jnp.arange(3)):
        found = fx.vmap(chosen, in_axes=(0, 0, None), out_axes=(0, None))(i, x, y)
        np.testing.assert_array_equal(found[0], [2, 1])
        np.testing.assert_array_equal(found[1], y)
        for wrap in (lambda f: f, fx.jit):
            a, b = wrap(both)(1, x, y)
            assert (a.dtype, a.weak_type) == (jnp.asarray(y).dtype, isinstance(y, float))
            np.testing.assert_array_equal(a, y)
            np.testing.assert_array_equal(b, x)
    (_, _, cond) = fx.make_jaxpr(chosen)(1, 2.0, 3.0).eqns
    assert len(cond.outvars) == 1
    assert not any("cond" in e.primitive.name for e in fx.make_jaxpr(both)(1, 2.0, 3.0).eqns)
    grads = fx.grad(lambda x, y: sum(chosen(0, x, y)), (0, 1))(2.0, 3.0)
    assert [float(g) for g in grads] == [1.0, 1.0]


def test_a_numpy_operand_that_is_handed_on_is_copied() -> None:
    x = np.ones(3, np.float32)
    found = lax.cond(True, lambda x: x, lambda x: x, x)
    x[:] = 5
    np.testing.assert_array_equal(found, [1, 1, 1])


def test_operands_of_cond_may_be_callable() -> None:
    """A module is a tree that can be called; only with arrays in front is it the older form."""
    add = fx.tree_util.Partial(lambda y, x: x + y, 1.0)
    times = fx.tree_util.Partial(lambda y, x: x * y, 4.0)
    for pred, expected in ((True, 6.0), (False, 20.0)):
        found = lax.cond(pred, lambda f, g: f(5.0), lambda f, g: g(5.0), add, times)
        assert float(found) == expected
    assert float(lax.cond(False, 1.0, lambda x: x, 2.0, lambda x: x + 1)) == 3.0


@pytest.mark.parametrize("wrap", [lambda g: g, fx.jit], ids=["eager", "jit"])
def test_an_effect_does_not_follow_what_is_moved_out_of_a_loop(wrap: Any) -> None:
    seen: list[float] = []

    def f(x: Any, w: Any) -> Any:
        def body(c: Any, y: Any) -> Any:
            fx.debug.callback(lambda v: seen.append(float(v)), y)
            return c * jnp.sin(w) + y, None

        return lax.scan(body, x, jnp.arange(3.0))[0]

    close(wrap(fx.grad(f))(1.0, 2.0), np.float32(np.sin(2.0) ** 3))
    fx.effects_barrier()
    assert sorted(seen) == [0.0, 1.0, 2.0]


def test_branches_of_a_batched_choice_may_read_the_axis() -> None:
    def f(x: Any) -> Any:
        i = lax.axis_index("i")
        return lax.cond(i > 0, lambda v: v * lax.axis_index("i"), lambda v: lax.psum(v, "i"), x)

    close(fx.vmap(f, axis_name="i")(X), np.array([1.5, -1.0, 4.0], np.float32))
    close(fx.vmap(fx.grad(f), axis_name="i")(X), np.array([3.0, 1.0, 2.0], np.float32))
