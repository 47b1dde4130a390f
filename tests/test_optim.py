"""fx.optim: optimisers, known steps, wrappers and schedules; fx.losses by their formulas."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.losses as losses
import fx.numpy as fnp
import fx.optim as optim

TARGET = {"w": np.array([1.0, -2.0, 3.0], "f"), "b": np.float32(0.5)}


def loss(p):
    return ((p["w"] - TARGET["w"]) ** 2).sum() + (p["b"] - TARGET["b"]) ** 2


START = {"w": fnp.zeros(3), "b": fnp.array(0.0)}

OPTIMISERS = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.02, momentum=0.9),
    "nesterov": optim.sgd(0.02, momentum=0.9, nesterov=True),
    "adam": optim.adam(0.1),
    "adamw": optim.adamw(0.1, weight_decay=1e-4),
    "amsgrad": optim.amsgrad(0.1),
    "nadam": optim.nadam(0.1),
    "nadamw": optim.nadamw(0.1),
    "adamax": optim.adamax(0.2),
    "radam": optim.radam(0.1),
    "rmsprop": optim.rmsprop(0.05),
    "rmsprop-centered": optim.rmsprop(0.02, centered=True),
    "adagrad": optim.adagrad(1.0),
    "adadelta": optim.adadelta(20.0),
    "adabelief": optim.adabelief(0.1),
    "yogi": optim.yogi(0.2),
    "lion": optim.lion(0.05, weight_decay=0.0),
    "lamb": optim.lamb(0.05),
    "lars": optim.lars(8.0),
    "noisy_sgd": optim.noisy_sgd(0.05, eta=1e-6),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_go_down(name):
    opt = OPTIMISERS[name]

    def step(carry, _):
        p, state = carry
        updates, state = opt.update(fx.grad(loss)(p), state, p)
        return (optim.apply_updates(p, updates), state), None

    start = {"w": fnp.full(3, 0.1), "b": fnp.array(0.1)}
    p = start
    carry = (p, opt.init(p))
    closed = fx.make_jaxpr(lambda c: step(c, None)[0])(carry)
    leaves, tree = fx.tree_util.tree_flatten(carry)
    for _ in range(200):
        leaves = fx.core.jaxpr_as_fun(closed)(*leaves)
    final = tree.unflatten(leaves)[0]
    assert float(loss(final)) < 0.2 * float(loss(start)), float(loss(final))


def test_first_steps_by_hand():
    g = fnp.array(0.5)
    for opt, expected in (
        (optim.sgd(0.1), -0.05),
        (optim.adam(0.1), -0.1),
        (optim.lion(0.1, weight_decay=0.0), -0.1),
        (optim.rmsprop(0.1, decay=0.9, eps=0.0), -0.1 / np.sqrt(0.1)),
        (optim.adagrad(0.1, initial_accumulator_value=0.0, eps=0.0), -0.1),
    ):
        updates, _ = opt.update(g, opt.init(fnp.array(1.0)), fnp.array(1.0))
        assert float(updates) == pytest.approx(expected, rel=1e-4)


STEPPED = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, momentum=0.9),
    "adam": optim.adam(0.1),
    "adamw": optim.adamw(0.1),
    "lamb": optim.lamb(0.1),
    "adabelief": optim.adabelief(0.1),
    "clipped adam": optim.chain(optim.clip_by_global_norm(1.0), optim.adam(0.1)),
}


@pytest.mark.parametrize("name", STEPPED)
def test_twenty_leaves_update_in_four_launches(name):
    opt, rng = STEPPED[name], np.random.default_rng(0)
    shapes = [(64, 32), (32,), (32, 32), (32,), (3, 3, 4, 8)] * 4
    params = {f"p{k}": rng.normal(size=s).astype(np.float32) for k, s in enumerate(shapes)}
    grads = {k: rng.normal(size=v.shape).astype(np.float32) for k, v in params.items()}

    @fx.jit
    def step(p, state, g):
        updates, state = opt.update(g, state, p)
        return optim.apply_updates(p, updates), state

    carry = step(params, opt.init(params), grads)
    fx.block_until_ready(carry)
    before = fx.counters()
    fx.block_until_ready(step(*carry, grads))
    assert (fx.counters() - before).launches <= 4


def test_two_steps_of_belief():
    """AdaBelief by its paper: the variance is around the new mean."""
    opt, g = optim.adabelief(0.1), np.float32([1.0, -2.0])
    p, state, m, s = fnp.zeros(2), None, np.zeros(2), np.zeros(2)
    state = opt.init(p)
    for t in (1, 2):
        updates, state = opt.update(fnp.asarray(g * t), state, p)
        m = 0.9 * m + 0.1 * g * t
        s = 0.999 * s + 0.001 * (g * t - m) ** 2 + 1e-16
        step = -0.1 * m / (1 - 0.9**t) / (np.sqrt(s / (1 - 0.999**t)) + 1e-16)
        np.testing.assert_allclose(updates, step, rtol=1e-4)


def test_lbfgs_with_its_line_search():
    rosenbrock = lambda x: ((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2).sum()
    opt = optim.lbfgs()
    x = fnp.array([-1.2, 1.0])
    state = opt.init(x)
    for _ in range(60):
        value, grad = fx.value_and_grad(rosenbrock)(x)
        updates, state = opt.update(grad, state, x, value=value, grad=grad, value_fn=rosenbrock)
        x = optim.apply_updates(x, updates)
    np.testing.assert_allclose(x, [1, 1], atol=1e-2)


def test_adam_step_under_jit_is_the_eager_one():
    opt = optim.adamw(1e-2)
    state = opt.init(START)
    grads = fx.grad(loss)(START)
    eager = opt.update(grads, state, START)
    jitted = fx.jit(opt.update)(grads, state, START)
    for a, b in zip(fx.tree_util.tree_leaves(eager), fx.tree_util.tree_leaves(jitted)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_masks_and_labels():
    mask = {"w": True, "b": False}
    tx = optim.masked(optim.scale(0.0), mask)
    grads = {"w": fnp.ones(3), "b": fnp.array(1.0)}
    updates, _ = tx.update(grads, tx.init(START), START)
    assert updates["w"].tolist() == [0, 0, 0] and float(updates["b"]) == 1
    labels = {"w": "fast", "b": "slow"}
    tx = optim.multi_transform({"fast": optim.sgd(1.0), "slow": optim.sgd(0.1)}, labels)
    updates, _ = tx.update(grads, tx.init(START), START)
    assert updates["w"].tolist() == [-1, -1, -1] and float(updates["b"]) == pytest.approx(-0.1)
    with pytest.raises(ValueError, match="no corresponding transformation"):
        optim.multi_transform({"fast": optim.sgd(1.0)}, labels).init(START)
    decayed = optim.add_decayed_weights(0.1, mask)
    params = {"w": fnp.ones(3), "b": fnp.array(1.0)}
    updates, _ = decayed.update(grads, decayed.init(params), params)
    assert updates["w"].tolist() == pytest.approx([1.1] * 3) and float(updates["b"]) == 1


def test_clipping():
    grads = {"w": fnp.array([3.0, 0.0, 4.0]), "b": fnp.array(0.0)}
    clip = lambda tx, p=None: tx.update(grads, tx.init(grads), p)[0]
    assert clip(optim.clip(1.0))["w"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(clip(optim.clip_by_global_norm(1.0))["w"], [0.6, 0, 0.8], rtol=1e-6)
    assert clip(optim.clip_by_global_norm(9.0))["w"].tolist() == [3, 0, 4]
    params = {"w": fnp.array([3.0, 0.0, 4.0]), "b": fnp.array(1.0)}
    limited = clip(optim.adaptive_grad_clip(0.1), params)["w"]
    assert float(fnp.linalg.norm(limited)) == pytest.approx(0.5, rel=1e-5)
    centred = optim.centralize().update(fnp.array([[1.0, 3.0], [5.0, 5.0]]), None)[0]
    assert centred.tolist() == [[-1, 1], [0, 0]]


def test_accumulation_skips_and_averages():
    opt = optim.MultiSteps(optim.sgd(1.0), 2)
    state = opt.init(fnp.array(0.0))
    first, state = opt.update(fnp.array(1.0), state)
    assert float(first) == 0 and not opt.has_updated(state)
    second, state = opt.update(fnp.array(3.0), state)
    assert float(second) == -2 and opt.has_updated(state) and float(state.acc_grads) == 0
    every = optim.apply_every(2)
    state = every.init(fnp.array(0.0))
    outs = []
    for g in (1.0, 3.0):
        out, state = every.update(fnp.array(g), state)
        outs.append(float(out))
    assert outs == [0, 4]


def test_lookahead():
    opt = optim.lookahead(optim.sgd(1.0), sync_period=2, slow_step_size=0.5)
    params = optim.LookaheadParams.init_synced(fnp.array(0.0))
    state = opt.init(params)
    for _ in range(2):
        updates, state = opt.update(fnp.array(1.0), state, params)
        params = optim.apply_updates(params, updates)
    assert (float(params.fast), float(params.slow)) == (-1, -1)


def test_reduce_on_plateau():
    tx = optim.reduce_on_plateau(factor=0.5, patience=2)
    state = tx.init(None)
    scales = []
    for value in (1.0, 1.0, 1.0, 1.0, 1.0):
        updates, state = tx.update(fnp.array(1.0), state, value=value)
        scales.append(float(updates))
    assert scales == [1, 1, 0.5, 0.5, 0.25]


def test_hyperparameters_in_the_state():
    opt = optim.inject_hyperparams(optim.sgd)(learning_rate=0.1)
    state = opt.init(fnp.array(1.0))
    assert float(opt.update(fnp.array(1.0), state)[0]) == pytest.approx(-0.1)
    state.hyperparams["learning_rate"] = fnp.array(0.5)
    assert float(opt.update(fnp.array(1.0), state)[0]) == pytest.approx(-0.5)


def test_ema():
    tx = optim.ema(0.9)
    state = tx.init(fnp.array(0.0))
    out, state = tx.update(fnp.array(2.0), state)
    assert float(out) == pytest.approx(2.0)


SCHEDULES = [
    (optim.constant_schedule(0.3), {0: 0.3, 9: 0.3}),
    (optim.linear_schedule(1.0, 0.0, 10), {0: 1, 5: 0.5, 10: 0, 20: 0}),
    (optim.polynomial_schedule(1.0, 0.0, 2, 10), {5: 0.25, 10: 0}),
    (optim.exponential_decay(1.0, 10, 0.5), {0: 1, 10: 0.5, 20: 0.25}),
    (optim.exponential_decay(1.0, 10, 0.5, staircase=True, end_value=0.3), {19: 0.5, 20: 0.3}),
    (optim.cosine_decay_schedule(1.0, 10, alpha=0.1), {0: 1, 5: 0.55, 10: 0.1, 30: 0.1}),
    (optim.warmup_cosine_decay_schedule(0.0, 1.0, 10, 20), {0: 0, 5: 0.5, 10: 1, 15: 0.5, 20: 0}),
    (optim.warmup_exponential_decay_schedule(0.0, 1.0, 4, 10, 0.5), {2: 0.5, 4: 1, 14: 0.5}),
    (optim.warmup_constant_schedule(0.0, 1.0, 4), {2: 0.5, 9: 1}),
    (optim.piecewise_constant_schedule(1.0, {5: 0.1, 8: 0.5}), {4: 1, 5: 0.1, 8: 0.05}),
    (optim.linear_onecycle_schedule(100, 1.0), {0: 0.04, 30: 1, 85: 0.04, 100: 4e-6}),
    (optim.cosine_onecycle_schedule(100, 1.0), {0: 0.04, 30: 1, 100: 4e-6}),
    (
        optim.sgdr_schedule(
            [{"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 5, "decay_steps": 10}] * 2
        ),
        {0: 0, 5: 1, 10: 0, 15: 1},
    ),
    (optim.join_schedules([lambda k: 1.0, lambda k: k * 2.0], [5]), {4: 1, 6: 2}),
]


@pytest.mark.parametrize("k", range(len(SCHEDULES)))
def test_schedules(k):
    schedule, expected = SCHEDULES[k]
    for step, value in expected.items():
        assert float(schedule(step)) == pytest.approx(value, abs=1e-6)
        assert float(fx.vmap(schedule)(fnp.array([step]))[0] if k else value) == pytest.approx(
            value, abs=1e-6
        )


def test_schedules_as_learning_rates():
    opt = optim.sgd(optim.linear_schedule(1.0, 0.0, 2))
    state = opt.init(fnp.array(0.0))
    found = []
    for _ in range(3):
        out, state = opt.update(fnp.array(1.0), state)
        found.append(float(out))
    assert found == [-1, -0.5, 0]


# ---------------------------------------------------------------- losses


def test_losses_by_their_formulas():
    a, b = np.array([0.5, -2.0], "f"), np.array([0.0, 1.0], "f")
    same = lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    same(losses.squared_error(a, b), (a - b) ** 2)
    same(losses.l2_loss(a, b), 0.5 * (a - b) ** 2)
    same(losses.absolute_error(a, b), abs(a - b))
    same(losses.huber_loss(a, b), [0.125, 2.5])
    same(losses.log_cosh(a, b), np.log(np.cosh(a - b)))
    same(losses.hinge_loss(a, np.array([1, -1])), [0.5, 0])
    same(losses.cosine_distance(a, a), 0)
    p = np.array([0.2, 0.8], "f")
    same(losses.kl_divergence(np.log(p), b), -np.log(0.8))
    same(losses.kl_divergence_with_log_targets(np.log(p), np.log(p)), 0)
    logits = np.array([[1.0, 2, 3]], "f")
    code = np.array([[0.0, 0, 1]], "f")
    cross = -np.log(np.exp(3) / np.exp([1, 2, 3]).sum())
    same(losses.softmax_cross_entropy(logits, code), [cross])
    same(losses.safe_softmax_cross_entropy(logits, code), [cross])
    same(losses.softmax_cross_entropy_with_integer_labels(logits, np.array([2])), [cross])
    same(losses.smooth_labels(code, 0.3), [[0.1, 0.1, 0.8]])
    same(losses.multiclass_hinge_loss(logits[0], 0), 3.0)
    same(losses.sigmoid_focal_loss(a, b, gamma=0.0), losses.sigmoid_binary_cross_entropy(a, b))
    with pytest.raises(ValueError, match="shapes"):
        losses.squared_error(np.ones(2), np.ones(3))


def test_ctc_against_all_alignments():
    from itertools import groupby, product

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 4, 3)).astype(np.float32)
    labels = np.array([[1, 2]])
    p = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    total = 0.0
    for path in product(range(3), repeat=4):
        if [k for k, _ in groupby(path) if k] == [1, 2]:
            total += np.prod([p[t, k] for t, k in enumerate(path)])
    found = losses.ctc_loss(logits, np.zeros((1, 4)), labels, np.zeros((1, 2)))
    assert float(found[0]) == pytest.approx(-np.log(total), rel=1e-4)
