"""What branches give back stands where it stood: random branches of arrays, and what is moved."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx import lax
from fx.lower import subgraph
from lowering import graph as g
from lowering import interp
from lowering.compile import make_plan
from lowering.launches import condense, team
from lowering.plan import CondStep, CopyStep, Launch, LoopStep
from lowering.profile import AVX512
from lowering.runtime import devices, execute

pytestmark = pytest.mark.lowering
N = 260
LARGEST = 6
"""Arrays that a random program computes, as it is written: each is compiled five times."""


class Branches:
    """A random function of arrays of one shape: branches of branches, in a loop or in none."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.many = int(self.rng.integers(1, 5))
        self.shape = (N,) if self.rng.random() < 0.6 else (13, 20)
        self.inputs = [self.rng.standard_normal(self.shape, np.float32) for _ in range(self.many)]
        self.steps = int(self.rng.choice([0, 1, 2, 5, 9]))
        self.left = LARGEST
        self.until = bool(self.rng.integers(2))

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def __call__(self, *arrays):
        if not self.steps:
            arrays = [a + 1 if self.chance(0.7) else a for a in arrays]
            return self.body(arrays, arrays[0][(0,) * arrays[0].ndim] * 10, 3)
        if self.until:
            step = lambda c: (c[0] + 1, self.body(c[1], c[0] * 1.0, 2))
            return lax.while_loop(lambda c: c[0] < self.steps, step, (0, list(arrays)))[1]
        if self.chance(0.3):
            step = lambda c, k: (self.body(c, k * 1.0, 2), c[0][..., :3])
            return lax.scan(step, list(arrays), jnp.arange(self.steps))
        return lax.fori_loop(0, self.steps, lambda k, c: self.body(c, k * 1.0, 2), list(arrays))

    def body(self, arrays, k, depth: int):
        """The arrays after a few branches, computations and exchanges."""
        arrays = list(arrays)
        for _ in range(int(self.rng.integers(1, 4))):
            j = int(self.rng.integers(self.many))
            if self.chance(0.15):
                arrays[j] = self.made(arrays, j, k)
            if self.chance(0.15):
                arrays[j] = self.pick(arrays)
            if self.chance(0.15):
                arrays = [arrays[i] for i in self.rng.permutation(self.many)]
            taken = [int(i) for i in self.rng.permutation(self.many)[: self.rng.integers(1, 5)]]
            count = int(self.rng.integers(2, 4))
            drawn = [self.rng.spawn(1)[0] for _ in range(count)]
            which = (k * self.pick([1, 2, 3]) + self.pick([0, 1])).astype("int32") % count
            branches = [self.branch(rng, depth) for rng in drawn]
            results = lax.switch(which, branches, [arrays[i] for i in taken], k)
            if self.chance(0.2):
                arrays[j] = jnp.tanh(arrays[j] + 0.1 * arrays[taken[0]])  # what it took is needed
            for i, made in zip(taken, results):
                arrays[i] = made
        return arrays

    def branch(self, rng, depth: int):
        def run(given, k):
            outer, many = self.rng, self.many
            self.rng, self.many = rng, len(given)
            try:
                inner = self.left > 0
                if inner and depth > 1 and self.chance(0.25):
                    return self.body(given, k, depth - 1)
                if inner and self.chance(0.15):
                    return lax.fori_loop(0, 3, lambda _, c: self.body(c, k + 1, 1), list(given))
                return [self.made(given, j, k) for j in range(len(given))]
            finally:
                self.rng, self.many = outer, many

        return run

    def made(self, given, j: int, k):
        a = given[j] if self.chance(0.7) else self.pick(given)
        b = self.pick(given)
        at = k.astype("int32") % a.shape[0]
        kinds = {
            "scaled": lambda: a * 0.7,
            "sum": lambda: jnp.tanh(a + b * 0.5),
            "turned": lambda: jnp.roll(a, 3, 0) * 0.9,
            "updated": lambda: a.at[at].set(jnp.sin(b[at] + 1)),
            "updated by itself": lambda: a.at[1:].set(a[:-1] * 0.5),
            "updated twice": lambda: a.at[at].add(0.5).at[0].set(b[1]),
            "scattered": lambda: a.at[jnp.arange(9) * 2 % a.shape[0]].set(0.25),
            "less its mean": lambda: a - b.mean(),
            "constant": lambda: jnp.full(a.shape, 0.25, a.dtype),
            "another": lambda: b,
        }
        if self.chance(0.5):
            return a
        kind = self.pick(list(kinds)) if self.left > 0 else "another"
        self.left -= kind != "another"
        return kinds[kind]()


@pytest.mark.driver
@pytest.mark.parametrize("seed", range(40))
def test_random_branches(seed, monkeypatch):
    graph = graph_of(seed)
    inputs = Branches(seed).inputs
    want = interp.run_graph(graph, inputs)
    real = team.team_us
    for options in ({}, {"condense": False}, {"fuse": False}, "teams", "donated"):
        if options == "teams":
            eager = lambda p, s: None if real(p, s) is None else -1.0
            monkeypatch.setattr(condense, "team_us", eager)
        chosen = options if isinstance(options, dict) else {}
        assert_gives(graph, inputs, want, options == "donated", **chosen)


def graph_of(seed: int):
    made = Branches(seed)
    return subgraph(g.Builder(), fx.make_jaxpr(made)(*made.inputs))


def assert_gives(graph, inputs, want, donated=False, **options):
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("the interpreter has no pipeline")
    given = tuple(donated for _ in inputs)
    profile = device.profile.with_(compute_units=3)
    plan = make_plan(graph, profile, donated=given, **options).check()
    places = range(len(inputs)) if donated else ()
    stores, _ = execute.Executable(plan, device)([device.put(x.copy()) for x in inputs], places)
    device.finish()
    for k, (store, node, w) in enumerate(zip(stores, graph.outputs, want)):
        got = device.fetch(store, node.shape, node.dtype)
        np.testing.assert_allclose(got, w, rtol=2e-3, atol=2e-3, err_msg=f"{k}: {options}")


# ---------------------------------------------------------------- what is moved


def plan_of(f, *args, **options):
    graph = subgraph(g.Builder(), fx.make_jaxpr(f)(*args))
    return make_plan(graph, AVX512, condense=False, **options).check()


def moved(steps) -> list[tuple[int, ...]]:
    """For each branch of the one cond of some steps, copies and launches."""
    (cond,) = [s for s in steps if isinstance(s, CondStep)]
    kinds = [[type(s) for s in branch] for branch in cond.branches]
    return [(k.count(CopyStep), k.count(Launch)) for k in kinds]


def looped(branch, other=lambda c: c):
    def step(i, c):
        return lax.cond(c[0][i] > 0, branch, other, c)

    return lambda x: lax.fori_loop(0, 9, step, (x, x + 1))


X = np.ones(5000, np.float32)
CASES = {
    "element by element": (lambda c: (c[0] * 2, c[1] - c[0]), (0, 1)),
    "one of two": (lambda c: (c[0], jnp.tanh(c[1])), (0, 1)),
    "elsewhere": (lambda c: (jnp.roll(c[0], 1), c[1]), (0, 2)),
    "exchanged": (lambda c: (c[1], c[0]), (0, 0)),
    "exchanged and scaled": (lambda c: (c[1], c[0] * 2), (0, 1)),
    "twice": (lambda c: (c[1], c[1]), (1, 0)),
    "a mean": (lambda c: (c[0] - c[1].mean(), c[1]), (0, 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_branch_of_a_loop_moves_what_it_computes(name):
    branch, (copies, launches) = CASES[name]
    (loop,) = [s for s in plan_of(looped(branch), X, merge=False).steps if isinstance(s, LoopStep)]
    assert moved(loop.body) == [(0, 0), (copies, launches)]


def test_outside_of_loops_what_nobody_reads_later_is_given_back_without_a_copy():
    def f(p, x):
        y = lax.cond(p, lambda y: y * 2, lambda y: y, jnp.sin(x))
        return lax.cond(p, lambda y: y[::-1], lambda y: y, y)

    plan = plan_of(f, np.array(True), X)
    first, second = [s for s in plan.steps if isinstance(s, CondStep)]
    counts = [[tuple(map(type, b)) for b in s.branches] for s in (first, second)]
    assert counts == [[(), (Launch,)], [(), (Launch, CopyStep)]]
    assert sum(b.kind == "temp" and b.nbytes >= X.nbytes for b in plan.buffers) <= 1


def test_what_is_read_later_is_copied():
    plan = plan_of(lambda p, x: (lambda y: lax.cond(p, lambda y: y * 2, lambda y: y, y) + y[::-1])(
        jnp.sin(x)
    ), np.array(True), X)  # fmt: skip
    assert sum(isinstance(s, CopyStep) for s in plan.walk()) == 1


def test_a_donated_array_is_given_back():
    def f(p, x):
        return lax.cond(p, lambda x: x * 2, lambda x: x, x)

    plan = plan_of(f, np.array(True), X, donated=(False, True))
    assert not any(isinstance(s, CopyStep) for s in plan.walk())
    assert any(b.alias is not None for b in plan.buffers)
