"""Mutable arrays: reads and writes inside transformed functions against the same done by hand."""

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax, refs


def total(v):
    """A ref made inside, written in a loop and a branch: v + v**2 + v**3, and v**4 if positive."""
    r = fx.new_ref(jnp.zeros(2))

    def body(_, c):
        r[0] += c
        return c * v

    c = lax.fori_loop(0, 3, body, v)
    lax.cond(c > 0, lambda: r.__setitem__(1, c), lambda: None)
    return fx.freeze(r).sum()


def test_refs_made_inside():
    for wrap in (lambda f: f, fx.jit):
        assert float(wrap(total)(2.0)) == 30.0
        assert float(wrap(fx.grad(total))(2.0)) == 49.0
        assert float(wrap(fx.grad(fx.checkpoint(total)))(2.0)) == 49.0
        assert wrap(fx.vmap(total))(jnp.array([1.0, -2.0])).tolist() == [4.0, 10.0]


def test_reading_and_writing():
    r = fx.new_ref(jnp.arange(3.0))
    r[0] = 5
    r[1] += 2
    assert r[...].tolist() == [5, 3, 2] and (r.shape, r.dtype, r.ndim) == ((3,), np.float32, 1)
    assert repr(r) == "Ref([5., 3., 2.], dtype=float32)"
    assert str(r.aval) == "Ref{float32[3]}"
    assert float(fx.ref.swap(r, 0, 1.0)) == 5.0 and float(fx.ref.get(r, 0)) == 1.0
    fx.ref.addupdate(r, jnp.array([0, 0]), 1.0)
    fx.ref.set(r, slice(1, 3), 7.0)
    assert r[...].tolist() == [3, 7, 7]


def test_jit_gives_refs_back():
    r, n = fx.new_ref(jnp.arange(3.0)), fx.new_ref(0)

    @fx.jit
    def double(r):
        r[...] *= 2
        n[...] += 1
        return r[1]

    assert [float(double(r)) for _ in range(3)] == [2, 4, 8]
    assert r[...].tolist() == [0, 8, 16] and int(n[...]) == 3

    @fx.jit
    def outer():
        double(r)
        lax.while_loop(lambda c: c < 2, lambda c: (double(r), c + 1)[1], 0)

    outer()
    assert r[...].tolist() == [0, 64, 128] and int(n[...]) == 6


def test_scan_writes_slices_and_carries_what_it_closes_over():
    stack, sums = fx.new_ref(jnp.zeros(3)), fx.new_ref(0.0)

    def body(carry, x):
        place, value = x
        place[...] = value * 2
        sums[...] += value
        return carry + 1, sums[...]

    last, seen = lax.scan(body, 0, (stack, jnp.arange(3.0)))
    assert stack[...].tolist() == [0, 2, 4] and float(sums[...]) == 3.0
    assert int(last) == 3 and seen.tolist() == [0, 1, 3]


def test_vmap_over_keys_while_a_ref_lives():
    keys = fx.random.split(fx.random.key(0), 4)
    alone = fx.vmap(fx.random.bits)(keys)
    ref = fx.new_ref(jnp.zeros(3))
    for mapped in (fx.vmap(fx.random.bits), fx.vmap(lambda k: fx.random.bits(k))):
        assert np.array_equal(mapped(keys), alone)
    assert ref[...].shape == (3,)


def test_vmap_maps_refs():
    r, same = fx.new_ref(jnp.zeros((2, 3))), fx.new_ref(1.0)

    def one(r, v):
        r[0] = v
        same[...] += 1
        return r[...] * 2

    out = fx.vmap(one, (1, 0), 1)(r, jnp.arange(3.0))
    assert r[...].tolist() == [[0, 1, 2], [0, 0, 0]] and float(same[...]) == 2.0
    assert out.tolist() == [[0, 2, 4], [0, 0, 0]]
    with pytest.raises(ValueError):
        fx.vmap(lambda v: same.__setitem__(..., v))(jnp.ones(3))


def test_gradients_carry_values_out():
    kept = fx.new_ref(0.0)

    def loss(v):
        kept[...] = v * 3
        return v**2

    assert float(fx.grad(loss)(2.0)) == 4.0 and float(kept[...]) == 6.0
    value, gradient = fx.jit(fx.value_and_grad(loss))(3.0)
    assert (float(value), float(gradient), float(kept[...])) == (9.0, 6.0, 9.0)


def test_switch():
    r = fx.new_ref(0)
    choose = fx.jit(lambda k: lax.switch(k, [lambda: r.__setitem__(..., 5), lambda: None]))
    choose(1)
    assert int(r[...]) == 0
    choose(0)
    assert int(r[...]) == 5


@pytest.mark.parametrize(
    ("misuse", "error"),
    [
        (lambda r: fx.jit(lambda: r)(), ValueError),
        (lambda r: fx.jit(lambda a, b: a[...])(r, r), ValueError),
        (lambda r: fx.jit(lambda a: a[...] + r[...])(r), ValueError),
        (lambda r: jnp.sin(r), TypeError),
        (lambda r: r + 1, TypeError),
        (lambda r: fx.new_ref(r), ValueError),
        (lambda r: r.__setitem__(0, jnp.ones(2)), ValueError),
        (lambda r: fx.grad(lambda x: x[...].sum())(r), TypeError),
        (lambda r: lax.scan(lambda c, _: (c, None), r, None, length=2), ValueError),
        (lambda r: bool(r), TypeError),
        (lambda r: refs.write(r, jnp.ones(2)), TypeError),
        (lambda r: fx.jvp(lambda x, r: x * r[0], (1.0, r), (1.0, r[...])), TypeError),
    ],
)
def test_misuse(misuse, error):
    r = fx.new_ref(jnp.zeros(3))
    with pytest.raises(error):
        misuse(r)
    assert r[...].tolist() == [0, 0, 0]


def test_frozen_refs_are_gone():
    r = fx.new_ref(1.0)
    fx.free_ref(r)
    with pytest.raises(ValueError, match="frozen or freed"):
        r[...]
    del r
    assert not [w for w in refs.live if w() is not None and w()._alive is False]


def test_a_ref_that_lives_elsewhere_does_not_hide_an_axis():
    r = fx.new_ref(fx.numpy.zeros(3))
    x = fx.numpy.arange(4.0)
    total = lambda v: fx.lax.psum(v, "i")
    assert (fx.vmap(total, axis_name="i")(x) == 6).all()

    out = fx.vmap(fx.vmap(total, axis_name="i"), axis_name="j")(x[None])
    assert (out == 6).all() and r[...].sum() == 0


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit])
def test_derivatives_read_and_write_refs(wrap):
    r = fx.new_ref(4.0)

    def f(v):
        r[...] += 1
        return v * r[...]

    assert [float(t) for t in wrap(lambda v: fx.jvp(f, (v,), (1.0,)))(2.0)] == [10, 5]
    value, push = fx.linearize(f, 2.0)
    assert (float(value), float(push(1.0)), float(r[...])) == (12, 6, 6)
    value, pull, aux = fx.vjp(lambda v: (f(v), r[...]), 2.0, has_aux=True)
    assert (float(value), float(pull(1.0)[0]), float(aux), float(r[...])) == (14, 7, 7, 7)


def test_jvp_of_a_ref_writes_its_tangent():
    r, direction = fx.new_ref(jnp.arange(3.0)), fx.new_ref(jnp.ones(3))

    def f(r, v):
        r[0] = v * v
        return r[1] * v

    assert [float(t) for t in fx.jvp(f, (r, 2.0), (direction, 1.0))] == [2, 3]
    assert (r[...].tolist(), direction[...].tolist()) == ([4, 1, 2], [4, 1, 1])


def test_a_backward_rule_writes_to_a_ref():
    seen = fx.new_ref(0.0)
    f = fx.custom_vjp(lambda v: v)

    def bwd(_, ct):
        seen[...] += ct
        return (ct,)

    f.defvjp(lambda v: (v, None), bwd)
    for wrap in (lambda f: f, fx.jit):
        assert float(wrap(fx.grad(lambda v: f(v * v) * 3))(2.0)) == 12.0
    assert float(seen[...]) == 6.0


@pytest.mark.parametrize("wrap", [lambda f: f, fx.jit])
def test_a_backward_rule_writes_to_a_ref_that_it_is_given(wrap):
    seen = fx.new_ref(jnp.zeros(2))
    keep = fx.custom_vjp(lambda r, v: v)

    def bwd(residuals, ct):
        residuals["ref"][residuals["at"]] = ct
        return None, ct

    keep.defvjp(lambda r, v: (v, {"ref": r, "at": 1}), bwd)

    def f(r, v):
        return keep(r, v * v) * 3

    assert float(wrap(fx.grad(f, argnums=1))(seen, 2.0)) == 12.0
    assert seen[...].tolist() == [0, 3]
    with pytest.raises(NotImplementedError, match="does not carry refs"):
        fx.grad(lambda v: fx.jit(lambda v: f(seen, v))(v))(2.0)


def test_while_a_ref_lives_a_jitted_function_sees_tracers_only():
    r = fx.new_ref(jnp.zeros(2))
    x = np.arange(3, dtype=np.float32)
    assert fx.jit(lambda v: v[np.array([0, 5])])(x).tolist() == [0, 2]  # clamped, as without
    leaked = []
    fx.jit(lambda v: leaked.append(v))(1.0)
    with pytest.raises(fx.errors.UnexpectedTracerError):
        leaked[0] + 1
    with pytest.raises(ValueError, match="scan"):
        lax.scan(lambda c, v: (c, None), 0.0, [jnp.ones(3), 1.0])
    assert fx.vmap(lambda v, n: v * jnp.ones(n), in_axes=(0, None))(x, 2).shape == (3, 2)
    assert r[...].tolist() == [0, 0]
