"""What programs written for JAX lean on beside the operations: devices, meshes, layers, checks.

The numbers are those JAX 0.10 gives for the same program.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import lax, random
from fx.example_libraries import optimizers, stax
from fx.experimental import checkify
from fx.extend.core import Primitive
from fx.interpreters import ad, batching, mlir
from fx.sharding import AxisType, Mesh, NamedSharding
from fx.sharding import PartitionSpec as P

# ---------------------------------------------------------------- one device


def test_pmap_is_a_map_over_devices():
    n = fx.local_device_count()

    @partial(fx.pmap, axis_name="i")
    def step(w, batch):
        gradient = fx.grad(lambda w: (w * batch).sum())(w)
        return w - lax.pmean(gradient, "i"), lax.axis_index("i")

    w, index = step(fnp.ones((n, 3)), fnp.full((n, 3), 0.25))
    np.testing.assert_array_equal(w, np.full((n, 3), 0.75))
    assert index.tolist() == list(range(n))
    with pytest.raises(ValueError, match=f"requires {n + 1} logical devices"):
        step(fnp.ones((n + 1, 3)), fnp.ones((n + 1, 3)))


def test_shardings_place_on_the_one_device():
    mesh = fx.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    x = fx.device_put(fnp.arange(8.0).reshape(4, 2), NamedSharding(mesh, P("data", "model")))
    assert x.sharding.device_set == {x.device}
    assert x.addressable_shards[0].data.shape == (4, 2)
    product = fx.shard_map(
        lambda a, b: lax.psum(a @ b, "model"),
        mesh=mesh,
        in_specs=(P("data", "model"), P("model", None)),
        out_specs=P("data", None),
    )
    want = np.asarray(x) @ np.asarray(x).T
    np.testing.assert_array_equal(product(x, x.T), want)
    np.testing.assert_array_equal(fx.jit(product)(x, x.T), want)
    with mesh:
        constrained = fx.jit(lambda x: lax.with_sharding_constraint(2 * x, P("data")))(x)
    np.testing.assert_array_equal(constrained, 2 * np.asarray(x))
    with pytest.raises(ValueError, match="not found in mesh"):
        NamedSharding(mesh, P("rows"))
    with pytest.raises(NotImplementedError, match="spans 2 devices"):
        two = Mesh(np.array([fx.devices()[0], "other"], object), ("data",))
        fx.jit(lambda x: x, in_shardings=NamedSharding(two, P("data")))


# ---------------------------------------------------------------- layers and their optimisers


def test_a_stax_network_learns():
    init, apply = stax.serial(
        stax.Conv(4, (3, 3), (2, 2), padding="SAME"),
        stax.Relu,
        stax.FanOut(2),
        stax.parallel(stax.MaxPool((2, 2), (2, 2)), stax.AvgPool((2, 2), (2, 2))),
        stax.FanInConcat(),
        stax.Flatten,
        stax.Dense(3),
        stax.LogSoftmax,
    )
    shape, params = init(random.PRNGKey(0), (-1, 8, 8, 1))
    assert shape[-1] == 3
    x = random.normal(random.PRNGKey(1), (6, 8, 8, 1))
    loss = lambda p: -apply(p, x)[:, 0].mean()
    opt = optimizers.momentum(optimizers.exponential_decay(0.1, 10, 0.9), mass=0.9)

    @fx.jit
    def step(i, state):
        value, gradient = fx.value_and_grad(loss)(opt.params_fn(state))
        return value, opt.update_fn(i, optimizers.clip_grads(gradient, 1.0), state)

    state = opt.init_fn(params)
    values = []
    for i in range(5):
        value, state = step(i, state)
        values.append(float(value))
    assert values[-1] < 0.6 * values[0]
    packed = optimizers.pack_optimizer_state(optimizers.unpack_optimizer_state(state))
    assert fx.tree.structure(packed) == fx.tree.structure(state)


def test_resized_images():
    image = fnp.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(
        fx.image.resize(image, (2, 2), "linear"),
        [[2.2142859, 3.785715], [7.2142873, 8.785716]],
        rtol=1e-5,
    )
    near = fx.image.resize(image, (6, 4), "nearest")
    np.testing.assert_array_equal(near, np.repeat(np.asarray(image), 2, 0))


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos3"])
@pytest.mark.parametrize("new", [(24, 31), (9, 13), (24, 13)])
def test_a_known_scale_takes_the_few_pixels_of_each_output(rng, method, new):
    """The same as the product with all weights, which a traced scale asks for, and no product."""
    x = rng.standard_normal((12, 16)).astype(np.float32)
    scale = np.array([n / m for n, m in zip(new, x.shape)], np.float32)

    def known(x):
        return fx.image.resize(x, new, method, antialias=False)

    def traced(x, scale):
        return fx.image.scale_and_translate(x, new, (0, 1), scale, scale * 0, method, False)

    np.testing.assert_allclose(fx.jit(known)(x), fx.jit(traced)(x, scale), rtol=1e-4, atol=1e-5)
    assert "dot_general" not in str(fx.make_jaxpr(known)(x))
    assert "dot_general" in str(fx.make_jaxpr(traced)(x, scale))
    fx.test_util.check_grads(known, (x,), 2, modes=["fwd", "rev"], rtol=1e-2)


# ---------------------------------------------------------------- checks in traced code


def test_checkify_through_control_flow():
    def body(c, x):
        checkify.check(c < 5.0, "carry {} too big at {}", c, x)
        return c + x, c

    error, (carry, _) = checkify.checkify(lambda: lax.scan(body, 0.0, fnp.arange(5.0)))()
    assert error.get() == "carry 6.0 too big at 4.0 (`check` failed)"
    assert float(carry) == 10.0
    with pytest.raises(checkify.JaxRuntimeError, match="too big"):
        error.throw()
    checked = checkify.checkify(lambda x, i: fnp.log(x)[i], errors=checkify.all_checks)
    assert fx.jit(checked)(fnp.ones(3), 1)[0].get() is None
    assert "nan generated by primitive: log" in fx.jit(checked)(-fnp.ones(3), 1)[0].get()
    assert "index 5 is out of bounds" in checked(fnp.ones(3), 5)[0].get()
    with pytest.raises(ValueError, match="not functionalized"):
        fx.jit(lambda x: checkify.check(x > 0, "never"))(1.0)


# ---------------------------------------------------------------- a user's primitive


def test_a_primitive_of_the_user():
    square_p = Primitive("users_square")
    square_p.def_impl(lambda x: fnp.asarray(np.square(x)))
    square_p.def_abstract_eval(lambda x: fx.core.ShapedArray(x.shape, x.dtype))
    mlir.register_lowering(square_p, mlir.lower_fun(lambda x: x * x, multiple_results=False))
    ad.defjvp(square_p, lambda t, x: 2 * x * t)
    batching.primitive_batchers[square_p] = lambda args, dims: (square_p.bind(*args), dims[0])
    f = square_p.bind
    x = fnp.arange(3.0)
    for g in (f, fx.jit(f), fx.vmap(f), fx.jit(fx.vmap(f))):
        np.testing.assert_array_equal(g(x), [0, 1, 4])
    assert float(fx.jit(fx.grad(f))(3.0)) == 6.0


@pytest.mark.parametrize("many", [False, True])
def test_a_lowering_rule_may_hand_its_operands_on(many):
    """As primitives do that only mark values; what builds MLIR is refused by name."""
    tag_p = Primitive(f"users_tag_{many}")
    tag_p.multiple_results = many
    outs = (lambda x, y: (y, x)) if many else (lambda x, y: y)
    tag_p.def_impl(outs)
    tag_p.def_abstract_eval(outs)
    seen = []

    def rule(context: mlir.LoweringRuleContext, x, y):
        seen.append((context.primitive, [a.shape for a in context.avals_in]))
        return [y, x][: 1 + many]

    mlir.register_lowering(tag_p, rule)
    x, y = fnp.arange(3.0), fnp.ones(2)
    given, found = tag_p.bind(x, y), fx.jit(tag_p.bind)(x, y)
    for a, b in zip(fx.tree.leaves(given), fx.tree.leaves(found), strict=True):
        np.testing.assert_array_equal(a, b)
    assert seen == [(tag_p, [(3,), (2,)])]
    builds_p = Primitive(f"users_builder_{many}")
    builds_p.multiple_results = many
    builds_p.def_impl(outs)
    builds_p.def_abstract_eval(outs)
    mlir.register_lowering(builds_p, lambda ctx, x, y: [x.owner, ctx.module_context])
    with pytest.raises(fx.errors.NoRuleError, match=r"'users_builder_.*builds MLIR"):
        fx.jit(builds_p.bind)(x, y)


# ---------------------------------------------------------------- rotations


def test_rotations_are_scipys():
    from scipy.spatial import transform as sp

    from fx.scipy.spatial.transform import Rotation, Slerp

    quats = np.random.default_rng(0).normal(size=(5, 4))
    ours, theirs = Rotation.from_quat(quats), sp.Rotation.from_quat(quats)
    close = partial(np.testing.assert_allclose, atol=3e-5)
    close(ours.as_matrix(), theirs.as_matrix())
    close(ours.as_rotvec(), theirs.as_rotvec())
    close(ours.as_mrp(), theirs.as_mrp())
    close(ours.magnitude(), theirs.magnitude())
    close(Rotation.from_matrix(theirs.as_matrix()).as_matrix(), theirs.as_matrix())
    close((ours * ours[0]).as_matrix(), (theirs * theirs[0]).as_matrix())
    close(ours.inv().apply([1.0, 2.0, 3.0]), theirs.inv().apply([1.0, 2.0, 3.0]))
    close(ours.mean().as_matrix(), theirs.mean().as_matrix())
    for seq in ("xyz", "zyx", "ZYX", "zxz", "ZXZ", "yxz", "YZX", "yzy"):
        close(ours.as_euler(seq), theirs.as_euler(seq))
        turned = Rotation.from_euler(seq, [10, 20, 30], degrees=True)
        close(turned.as_quat(), sp.Rotation.from_euler(seq, [10, 20, 30], degrees=True).as_quat())
    between = Slerp.init(np.arange(5.0), ours)([0.3, 2.7, 4.0])
    close(between.as_matrix(), sp.Slerp(np.arange(5.0), theirs)([0.3, 2.7, 4.0]).as_matrix())
    slope = fx.grad(lambda v: Rotation.from_rotvec(v).apply(fnp.arange(3.0)).sum())(fnp.zeros(3))
    close(slope, [-1.0, 2.0, -1.0])


# ---------------------------------------------------------------- small habits


def test_small_habits():
    count = fnp.int32(3)
    assert float(fx.jit(lambda c: 0.5**c)(count)) == 0.125
    assert float(lax.cond(True, 2.0, lambda x: x + 1, 5.0, lambda x: x - 1)) == 3.0
    (_, aux), _ = fx.value_and_grad(lambda x: (x * x, {"name": "text"}), has_aux=True)(1.0)
    assert aux == {"name": "text"}
    empty = fnp.zeros((0,))
    assert empty[fnp.zeros((0,), bool)].shape == (0,)
    np.testing.assert_array_equal(fx.ops.segment_sum(2.0, fnp.array([0, 1, 1]), 3), [2, 4, 0])
    masked = lambda x: fx.nn.log_softmax(x, where=fnp.array([[True], [False]])).sum(
        where=fnp.array([[True], [False]])
    )
    assert bool(fnp.isfinite(fx.grad(masked)(fnp.ones((2, 3)))).all())


def test_a_rule_that_raises_is_asked_only_when_differentiated():
    @fx.custom_jvp
    def opaque(x):
        return x

    @opaque.defjvp
    def _(primals, tangents):
        raise RuntimeError("not to be differentiated")

    assert float(fx.jit(opaque)(2.0)) == 2.0
    with pytest.raises(RuntimeError, match="not to be"):
        fx.jit(fx.grad(opaque))(2.0)


def test_long_chains_in_one_kernel():
    def f(x):
        for _ in range(400):
            x = x * 1.01 + 0.01
        return x

    np.testing.assert_allclose(fx.jit(f)(fnp.ones(3)), f(np.ones(3)), rtol=1e-4)
