"""Loops give the interpreter's numbers wherever they run: written out, in a kernel, on the host."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from random_loops import Loops

from lowering import compile as compiler
from lowering import graph as g
from lowering import interp
from lowering.planning import exchange
from lowering.rewrite import layout, lift, motion
from lowering.runtime import devices, execute

pytestmark = pytest.mark.lowering
F32, I32 = np.dtype(np.float32), np.dtype(np.int32)
OPTIONS = ("unroll", "motion", "loops", "condense", "bounds", "team")


def run(graph: g.Graph, inputs: list[np.ndarray], **options: bool):
    """The plan of a graph, after its results were compared with the interpreter's."""
    device = devices.default_device()
    if device.profile.driver == "interpreter":
        pytest.skip("the interpreter has no pipeline")
    want = interp.run_graph(graph, inputs)
    plan = compiler.make_plan(graph, device.profile, **options).check()
    stores, _ = execute.Executable(plan, device)([device.put(x) for x in inputs])
    device.finish()
    for k, (store, node, w) in enumerate(zip(stores, graph.outputs, want)):
        got = device.fetch(store, node.shape, node.dtype)
        np.testing.assert_allclose(got, w, rtol=2e-3, atol=2e-3, err_msg=f"output {k}")
    return plan


def on_items() -> bool:
    """Whether one work-item may run a whole loop: a GPU's is too slow for that."""
    return devices.default_device().profile.schedule == "cpu"


def reasons(plan) -> str:
    return "; ".join(why for _, why in plan.meta["reasons"])


def scan(body, carry, xs=(), consts=(), *, length: int, reverse: bool = False, inits=None):
    """A graph of one counted loop over inputs like `carry` and `xs`; and those inputs."""
    b, c = g.Builder(), g.Builder()
    arrays = [np.asarray(a) for a in (*consts, *carry, *xs)]
    nodes = [b.input(a.shape, a.dtype) for a in arrays]
    n, m = len(consts), len(consts) + len(carry)
    ins = [c.input(a.shape, a.dtype) for a in arrays[:m]]
    ins += [c.input(a.shape[1:], a.dtype) for a in arrays[m:]]
    graph = c.graph(body(c, *ins))
    outs = b.loop(graph, nodes[:n], nodes[n:m], nodes[m:], length=length, reverse=reverse)
    return b.graph(outs), arrays


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("seed", range(60))
def test_random_loops(seed):
    made = Loops(seed)
    run(made.graph(), made.inputs)


@pytest.mark.parametrize("seed", range(60))
def test_random_loops_that_exchange_what_they_carry(seed, monkeypatch):
    made = Loops(seed, exchange=True)
    graph = made.graph()
    run(graph, made.inputs)
    monkeypatch.setattr(exchange, "LEAST", 1)
    run(graph, made.inputs)
    run(graph, made.inputs, loops=False, unroll=False)
    run(graph, made.inputs, loops=False, unroll=False, condense=False)


@pytest.mark.parametrize("length", (126, 127))
def test_what_follows_a_loop_leaves_the_carry_where_it_ended(length):
    """After an odd number of steps it lies in the memory of the buffer it is exchanged with."""
    b, c = g.Builder(), g.Builder()
    shape = (length, 2)
    x, carry, item = b.input(shape, F32), c.input(shape, F32), c.input((2,), F32)
    half = c.map("mul", carry, c.const(0.5, F32, shape))
    body = c.graph([c.map("add", half, c.broadcast(item, shape, (1,))), c.map("tanh", item)])
    carried, stacked = b.loop(body, [], [x], [x], length=length)
    last = b.map("sub", carried, stacked)
    joined = b.concat([last, b.map("tanh", last), last], 1)
    run(b.graph([b.reverse(joined, (1,))]), [normal(*shape)], condense=False)


@pytest.mark.parametrize("chosen", list(itertools.product((False, True), repeat=len(OPTIONS))))
def test_every_subset_of_the_forms(chosen):
    for seed in range(1000, 1005):
        made = Loops(seed)
        run(made.graph(), made.inputs, **dict(zip(OPTIONS, chosen)))


def test_an_inner_loops_state_that_an_outer_loop_stacks():
    made = Loops(5059)
    run(made.graph(), made.inputs, loops=False)


# ---------------------------------------------------------------- where a loop runs


def decay(c, x, s):
    y = c.map("add", c.map("mul", x, c.const(0.5, F32)), s)
    return [y, c.map("exp", c.map("neg", y))]


@pytest.mark.parametrize("reverse", [False, True])
def test_independent_lanes_are_one_kernel(reverse):
    plan = run(*scan(decay, [normal(20, 33)], [normal(27, 20, 33)], length=27, reverse=reverse))
    assert plan.launches == 1
    assert "[20, 33] independent lanes" in reasons(plan)


def test_small_matrices_are_one_kernel_with_their_elements_in_registers():
    def body(c, a, x):
        y = c.contract(a, x, ((1,), (0,)))
        norm = c.reduce("add", c.map("mul", y, y), (0, 1))
        return [c.map("div", y, c.broadcast(c.map("sqrt", norm), y.shape, ())), norm]

    a, x = normal(3, 3).astype(np.float64), np.eye(3)
    plan = run(*scan(body, [x], consts=[a], length=40))
    assert plan.launches == 1
    assert "a state of a few scalars" in reasons(plan)


def test_a_few_steps_are_written_out():
    def body(c, x, s):
        return decay(c, x, s)[:1]

    plan = run(*scan(body, [normal(40)], [normal(3, 40)], length=3))
    assert "kernel: " not in reasons(plan)
    assert plan.launches == 1


def test_a_stencil_of_small_state_is_one_task():
    def body(c, x):
        p = c.pad(x, c.const(0, F32), (1,), (1,), (0,))
        return [c.map("add", c.slice(p, (0,), (500,)), c.map("mul", x, c.const(0.5, F32)))]

    plan = run(*scan(body, [normal(500)], length=30))
    if on_items():
        assert "one task" in reasons(plan)
        assert plan.launches <= 2


def test_a_stencil_of_large_state_is_driven_by_the_host():
    def body(c, x):
        p = c.pad(x, c.const(0, F32), (1, 0), (1, 0), (0, 0))
        return [c.map("add", c.slice(p, (0, 0), (1000, 1000)), c.map("mul", x, c.const(0.5, F32)))]

    assert run(*scan(body, [normal(1000, 1000)], length=9), team=False).launches >= 9


def test_one_element_updated_each_step_costs_no_copy():
    n = 3000

    def body(c, x, i):
        old = c.dynamic_slice(x, [i], (1,))
        new = c.map("add", old, c.convert(c.reshape(i, (1,)), F32))
        return [c.dynamic_update(x, new, [i]), c.map("add", i, c.const(1, I32))]

    plan = run(*scan(body, [normal(n), np.int32(0)], length=n))
    if on_items():
        assert "one task" in reasons(plan)
    copies = [s for s in plan.walk() if type(s).__name__ == "CopyStep" and s.nbytes >= 4 * n]
    assert len(copies) <= 1


# ---------------------------------------------------------------- while loops


def lanes_while(limit: float, most: int, n: int):
    made = Loops(0)
    b = g.Builder()
    x = b.input((n,), F32)
    d, c = g.Builder(), g.Builder()

    def goes_on(q, v, k):
        small = q.map("lt", v, q.const(limit, F32))
        return q.map("and", small, q.map("lt", k, q.const(most, I32)))

    v, k = d.input((n,), F32), d.input((n,), I32)
    cond = d.graph([d.reduce("or", goes_on(d, v, k), (0,))])
    v, k = c.input((n,), F32), c.input((n,), I32)
    p = goes_on(c, v, k)
    new = c.map("mul", v, c.const(1.25, F32))
    body = c.graph([c.select(p, new, v), c.select(p, c.map("add", k, c.const(1, I32)), k)])
    outs = b.while_loop(cond, [], body, [], [x, b.const(0, I32, (n,))])
    return b.graph(outs), [np.abs(normal(n)) + made.array(()).astype(np.float32) * 0]


def test_the_counter_of_a_task_is_no_memory():
    if not on_items():
        pytest.skip("a GPU runs no loop as one task")

    def body(c, i, y):
        old = c.dynamic_slice(y, [i], (1,))
        new = c.map("add", c.map("mul", old, c.const(0.5, F32, (1,))), c.const(1, F32, (1,)))
        return [c.map("add", i, c.const(1, np.int32)), c.dynamic_update(y, new, [i])]

    graph, arrays = scan(body, [np.int32(0), normal(3000)], length=2000)
    plan = run(graph, arrays)
    source = plan.programs[0].source
    assert "{ (" in source  # a variable that is loaded before the loop
    assert "uchar *const x" not in source  # and no pointers that change roles


@pytest.mark.parametrize("n", [1, 7, 64, 1001])
def test_lanes_leave_a_while_loop_by_themselves(n):
    plan = run(*lanes_while(100.0, 10_000, n))
    assert n == 1 or f"[{n}] independent lanes" in reasons(plan)


def test_a_while_loop_of_no_steps():
    run(*lanes_while(-1.0, 10, 40))


def count_to(limit: int):
    b, c, d = g.Builder(), g.Builder(), g.Builder()
    n = b.input((), I32)
    i, x = c.input((), I32), c.input((), F32)
    body = c.graph([c.map("add", i, c.const(1, I32)), c.map("mul", x, c.const(0.9999, F32))])
    m, i, _ = d.input((), I32), d.input((), I32), d.input((), F32)
    cond = d.graph([d.map("lt", i, m)])
    start = [b.const(0, I32), b.const(1.0, F32)]
    return b.graph(b.while_loop(cond, [n], body, [], start)), [np.int32(limit)]


@pytest.mark.parametrize("limit", [0, 1, 5000])
def test_a_scalar_while_loop_is_one_kernel(limit):
    plan = run(*count_to(limit))
    assert "a state of a few scalars" in reasons(plan)


@pytest.mark.skipif("not on_items()")
def test_a_state_of_scalars_says_itself_whether_its_loop_goes_on():
    """Nothing is set before it is launched; of lanes, each one that goes on sets a flag."""
    scalar, lanes = run(*count_to(5000)), run(*lanes_while(100.0, 1000, 70))
    assert [p.programs[0].source.count("= (uchar)((0) != 0)") for p in (scalar, lanes)] == [0, 1]
    assert "for (long" not in scalar.programs[0].source


def test_a_long_while_loop_comes_back_to_the_host(monkeypatch):
    from lowering import loops

    monkeypatch.setattr(loops, "CHUNK_WORK", 1.0)
    run(*count_to(5000))
    run(*lanes_while(100.0, 1000, 70))


@pytest.mark.parametrize("n", [16, 37, 70, 1001])
def test_lanes_that_are_done_twice_begin_where_the_launch_did(n, monkeypatch):
    """Two strips share lanes, and the counter that all of them read is where it was before both."""
    from lowering import loops

    monkeypatch.setattr(loops, "CHUNK_WORK", 1.0)
    b, c, d = g.Builder(), g.Builder(), g.Builder()
    i, x = c.input((), I32), c.input((n,), F32)
    body = c.graph([c.map("add", i, c.const(1, I32)), c.map("add", x, c.const(1, F32, (n,)))])
    i, _ = d.input((), I32), d.input((n,), F32)
    cond = d.graph([d.map("lt", i, d.const(700, I32))])
    outs = b.while_loop(cond, [], body, [], [b.const(0, I32), b.input((n,), F32)])
    plan = run(b.graph(outs), [normal(n)])
    assert f"[{n}] independent lanes" in reasons(plan)


def test_a_while_loop_as_one_task_comes_back_to_the_host(monkeypatch):
    from lowering.launches import condense

    monkeypatch.setattr(condense, "CHUNK_US", 1.0)
    run(*count_to(5000), loops=False)


# ---------------------------------------------------------------- inner loops and branches


def test_a_branch_in_a_kernel_computes_only_what_it_takes():
    def branch(steps: int) -> g.Graph:
        i = g.Builder()
        x = i.input((37,), F32)
        for _ in range(steps):
            x = i.map("sin", i.map("exp", i.map("tanh", x)))
        return i.graph([x])

    def body(c, x, i):
        odd = c.map("and", i, c.const(1, I32))
        y = c.cond(odd, [branch(1), branch(5), branch(9)], [x])[0]
        return [y, c.map("add", i, c.const(1, I32))]

    plan = run(*scan(body, [normal(37), np.int32(0)], length=20))
    assert "[37] independent lanes" in reasons(plan)
    assert "else" in plan.programs[0].source


def test_a_loop_in_a_loop_is_one_kernel():
    def body(c, x):
        i = g.Builder()
        y = i.input(x.shape, F32)
        inner = i.graph([i.map("tanh", i.map("add", y, i.const(0.1, F32)))])
        return [c.loop(inner, [], [x], length=50)[0]]

    plan = run(*scan(body, [normal(64)], length=20))
    assert plan.launches == 1


def test_random_bits_in_a_loop():
    def body(c, x, k):
        word = c.broadcast(k, (50,), ())
        zero = c.const(0, np.uint32, (50,))
        bits, _ = c.threefry(word, zero, c.iota((50,), 0, np.uint32), zero)
        step = c.convert(c.map("and", bits, c.const(7, np.uint32)), F32)
        return [c.map("add", x, step), c.map("add", k, c.const(1, np.uint32))]

    plan = run(*scan(body, [normal(50), np.uint32(3)], length=30))
    assert plan.launches == 1


# ---------------------------------------------------------------- motion


def test_a_product_of_xs_is_made_before_the_loop():
    def body(c, w, h, x):
        z = c.contract(c.map("tanh", x), w, ((1,), (0,)))
        new = c.map("tanh", c.map("add", h, z))
        return [new, new]

    carry, xs = [normal(16, 64)], [normal(9, 16, 32)]
    graph, arrays = scan(body, carry, xs, [normal(32, 64) * 0.1], length=9)
    moved = motion.move(graph)
    (loop,) = [n for n in moved.nodes() if isinstance(n.form, g.Loop)]
    assert not any(isinstance(n.form, g.Contract) for n in loop.form.body.nodes())
    run(graph, arrays)
    run(graph, arrays, motion=False)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_gradient_of_weights_is_added_up_after_the_loop(reverse):
    def body(c, w, total, h, x):
        z = c.map("tanh", c.contract(h, w, ((1,), (0,))))
        step = c.transpose(c.contract(z, x, ((0,), (0,))), (1, 0))
        return [c.map("add", total, step), c.map("mul", z, c.const(0.5, F32)), z]

    carry = [normal(32, 64), normal(16, 64)]
    consts, xs = [normal(64, 64) * 0.1], [normal(9, 16, 32)]
    graph, arrays = scan(body, carry, xs, consts, length=9, reverse=reverse)
    moved = motion.move(graph)
    (loop,) = [n for n in moved.nodes() if isinstance(n.form, g.Loop)]
    assert loop.form.n_carry == 1
    run(graph, arrays)


def test_what_constants_alone_make_is_made_before_the_loop():
    """Operands of products, and folds; a view is nothing to make, and small things stay inside."""

    def body(c, w, total, h):
        scaled = c.map("tanh", c.transpose(w, (1, 0)))
        z = c.contract(h, scaled, ((1,), (0,)))
        short = c.broadcast(c.map("sin", c.slice(w, (0, 0), (1, 1))), z.shape, (0, 1))
        fold = c.broadcast(c.reduce("add", w, (1,)), z.shape, (1,))
        new = c.map("tanh", c.map("add", c.map("add", z, fold), short))
        return [c.map("add", total, c.contract(h, w, ((1,), (1,)))), new]

    graph, arrays = scan(body, [normal(16, 64)] * 2, consts=[normal(64, 64) * 0.1], length=9)
    moved = lift.lift(graph)
    (loop,) = [n for n in moved.nodes() if isinstance(n.form, g.Loop)]
    inside = [n.form for n in loop.form.body.nodes()]
    assert loop.form.n_consts == 3
    assert g.Map("sin") in inside and not any(isinstance(f, g.Reduce) for f in inside)
    run(graph, arrays)
    run(graph, arrays, motion=False)


def test_all_results_of_what_is_large_are_made_before_the_loop():
    """Of a sort or a factorisation also the short ones: they would take the whole of it along."""

    def body(c, w, x):
        values, places = c.topk(w, 2)
        return [c.map("add", x, c.map("add", values, c.convert(places, F32)))]

    graph, arrays = scan(body, [normal(16, 2)], consts=[normal(16, 40)], length=9)
    (loop,) = [n for n in lift.lift(graph).nodes() if isinstance(n.form, g.Loop)]
    assert not any(isinstance(n.form, g.TopK) for n in loop.form.body.nodes())
    run(graph, arrays)


def test_costly_maps_of_constants_are_made_before_the_loop():
    """What is read instead of an exponential and indices of gathers; cheap maps stay inside."""

    def body(c, w, x):
        cheap = c.map("add", w, w)
        e = c.map("exp", w)
        at = c.map("convert", c.map("floor", c.map("mul", c.map("sin", w), cheap)), dtype="int32")
        pair = c.concat([c.reshape(at, (16, 20, 1)), c.reshape(at, (16, 20, 1))], 2)
        form = g.Gather((1, 1), (), (0, 1), (0, 1), (), (), "clip")
        moved = c.map("mul", c.map("mul", e, cheap), c.gather(x, pair, (16, 20), form))
        return [c.map("add", x, moved)]

    graph, arrays = scan(body, [normal(16, 20)], consts=[normal(16, 20)], length=9)
    moved = lift.lift(graph)
    (loop,) = [n for n in moved.nodes() if isinstance(n.form, g.Loop)]
    inside = {n.form.op for n in loop.form.body.nodes() if isinstance(n.form, g.Map)}
    assert inside == {"mul", "add"}
    assert not any(isinstance(n.form, g.Concat) for n in moved.nodes())
    assert "written side by side" not in reasons(run(graph, arrays))


def test_a_sum_over_lanes_is_kept_a_lane():
    def body(c, p, total, x):
        y = c.map("mul", c.broadcast(c.map("sin", p), x.shape, ()), x)
        step = c.reduce("add", c.map("mul", y, y), (0,))
        return [c.map("add", total, step), c.map("tanh", y)]

    arrays = [np.float32(0), normal(100)]
    plan = run(*scan(body, arrays, consts=[np.float32(0.7)], length=30))
    assert "[100] independent lanes" in reasons(plan)


def test_what_one_loop_stacks_for_another_has_its_lanes_last():
    b, c, d = g.Builder(), g.Builder(), g.Builder()
    x = b.input((50, 3), F32)
    s = c.input((50, 3), F32)
    y = c.map("tanh", c.map("add", s, c.concat([c.slice(s, (0, 1), (50, 3)), x0(c, s)], 1)))
    final, stack = b.loop(c.graph([y, s]), [], [x], length=20)
    ct, r = d.input((50, 3), F32), d.input((50, 3), F32)
    back = d.map("mul", ct, d.map("cos", d.concat([d.slice(r, (0, 1), (50, 3)), x0(d, r)], 1)))
    outs = b.loop(d.graph([back]), [], [final], [stack], length=20, reverse=True)
    graph = b.graph(outs)
    laid = layout.lanes_last(graph)
    shapes = [n.outs[1][0] for n in laid.nodes() if isinstance(n.form, g.Loop) and len(n.outs) > 1]
    assert shapes == [(20, 3, 50)]
    run(graph, [normal(50, 3)])


def x0(b, s):
    return b.slice(s, (0, 0), (50, 1))
