"""The NumPy interpreter against plain loops, form by form: it is the oracle of the other tests."""

import itertools

import numpy as np
import pytest

from lowering import graph as g
from lowering.interp import run_graph

RNG = np.random.default_rng(0)


def run(build, *inputs):
    """The outputs of the graph that build(b, *input nodes) returns nodes of."""
    b = g.Builder()
    nodes = [b.input(np.shape(x), np.asarray(x).dtype) for x in inputs]
    outs = build(b, *nodes)
    outs = outs if isinstance(outs, (tuple, list)) else (outs,)
    results = run_graph(b.graph(outs), [np.asarray(x) for x in inputs])
    return results if len(results) > 1 else results[0]


def array(*shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


def test_leaves_and_elements():
    x = array(2, 3)
    out = run(lambda b, x: b.map("add", x, b.const(1.5, np.float32)), x)
    np.testing.assert_array_equal(out, x + np.float32(1.5))
    out = run(lambda b: b.iota((2, 3), 1, np.int8))
    np.testing.assert_array_equal(out, np.array([[0, 1, 2]] * 2, np.int8))
    assert run(lambda b: b.const(True, bool, (2,))).tolist() == [True, True]


def test_views():
    x = array(2, 3, 4)
    np.testing.assert_array_equal(run(lambda b, x: b.transpose(x, (2, 0, 1)), x)[1, 0], x[0, :, 1])
    cut = run(lambda b, x: b.slice(x, (0, 1, 0), (2, 3, 4), (1, 1, 3)), x)
    np.testing.assert_array_equal(cut, x[0:2, 1:3, 0:4:3])
    flipped = run(lambda b, x: b.reverse(x, (0, 2)), x)
    np.testing.assert_array_equal(flipped, x[::-1, :, ::-1])
    spread = run(lambda b, x: b.broadcast(x, (5, 3, 2), (2, 1)), array(2, 3))
    assert spread.shape == (5, 3, 2)
    both = run(lambda b, x, y: b.concat([x, y], 1), x, x[:, :1])
    np.testing.assert_array_equal(both, np.concatenate([x, x[:, :1]], 1))


@pytest.mark.parametrize("low", (-3, -1, 0, 2))
@pytest.mark.parametrize("high", (-2, 0, 1))
@pytest.mark.parametrize("interior", (0, 1, 2))
def test_pad(low, high, interior):
    x = np.arange(1, 5, dtype=np.float32)
    spread = np.zeros(4 + 3 * interior, np.float32)
    spread[:: interior + 1] = x
    want = np.pad(spread, (max(low, 0), max(high, 0)))
    want = want[max(-low, 0) : want.size - max(-high, 0)]
    zero = np.float32(0)
    got = run(lambda b, x, z: b.pad(x, z, (low,), (high,), (interior,)), x, zero)
    np.testing.assert_array_equal(got, want)


def test_reductions():
    x = array(3, 4)
    np.testing.assert_allclose(run(lambda b, x: b.reduce("add", x, (1,)), x), x.sum(1), rtol=1e-6)
    x[1, 2] = np.nan
    assert np.isnan(run(lambda b, x: b.reduce("max", x, (0, 1)), x))
    np.testing.assert_array_equal(
        run(lambda b, x: b.argreduce("max", x, 1, np.int32), x), np.argmax(x, 1)
    )
    empty = np.zeros((0, 2), np.float32)
    np.testing.assert_array_equal(run(lambda b, x: b.reduce("max", x, (0,)), empty), [-np.inf] * 2)
    bits = np.array([[5, 3], [6, 1]], np.int32)
    assert run(lambda b, x: b.reduce("xor", x, (0,)), bits).tolist() == [3, 2]
    assert run(lambda b, x: b.reduce("and", x, (0, 1)), bits > 2).item() is False
    back = run(lambda b, x: b.cumscan("add", x, 1, True), bits)
    assert back.tolist() == [[8, 3], [7, 1]]


def test_contract():
    x, y = array(2, 3, 4, 5), array(5, 2, 6, 3)
    got = run(lambda b, x, y: b.contract(x, y, ((3, 1), (0, 3)), ((0,), (1,))), x, y)
    np.testing.assert_allclose(got, np.einsum("bkfc,cbnk->bfn", x, y), rtol=1e-5, atol=1e-5)


def conv_by_loops(x, w, strides, padding, lhs, rhs, groups, out_shape):
    out = np.zeros(out_shape)
    channels, features = w.shape[1], w.shape[0] // groups
    for n, o, i, j in np.ndindex(*out_shape):
        for c, a, b in np.ndindex(*w.shape[1:]):
            p = i * strides[0] + a * rhs[0] - padding[0][0]
            q = j * strides[1] + b * rhs[1] - padding[1][0]
            if p % lhs[0] or q % lhs[1]:
                continue
            p, q = p // lhs[0], q // lhs[1]
            if 0 <= p < x.shape[2] and 0 <= q < x.shape[3]:
                out[n, o, i, j] += x[n, (o // features) * channels + c, p, q] * w[o, c, a, b]
    return out


@pytest.mark.parametrize("groups", (1, 2))
@pytest.mark.parametrize("lhs, rhs, strides", [((1, 1), (1, 1), (1, 1)), ((2, 1), (1, 2), (2, 1))])
def test_conv(groups, lhs, rhs, strides):
    x, w = array(2, 4, 6, 5), array(4, 4 // groups, 2, 3)
    padding = ((1, 2), (0, -1))
    shape = [2, 4]
    for k in range(2):
        length = (x.shape[k + 2] - 1) * lhs[k] + 1 + sum(padding[k])
        shape.append((length - (w.shape[k + 2] - 1) * rhs[k] - 1) // strides[k] + 1)
    got = run(
        lambda b, x, w: b.conv(x, w, shape, strides, padding, lhs, rhs, groups, np.float32), x, w
    )
    want = conv_by_loops(x, w, strides, ((1, 2), (0, 0)), lhs, rhs, groups, shape)
    if padding[1][1] < 0:  # the crop takes the last column of the dilated input away
        cropped = x.copy()
        cropped[:, :, :, -1] = 0
        want = conv_by_loops(cropped, w, strides, ((1, 2), (0, 0)), lhs, rhs, groups, shape)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_windows():
    x = array(5, 4)
    args = ((4, 2), (2, 2), (1, 2), ((0, 0), (1, 0)), (1, 1), (1, 1))
    got = run(lambda b, x, i: b.window("max", x, i, *args), x, np.float32(-np.inf))
    padded = np.pad(x, ((0, 0), (1, 0)), constant_values=-np.inf)
    for i, j in np.ndindex(4, 2):
        assert got[i, j] == padded[i : i + 2, 2 * j : 2 * j + 2].max()


def gather_by_loops(x, indices, fill, form, shape):
    """The definition in XLA's words, one element of the result at a time."""
    out = np.zeros(shape, x.dtype)
    batch_axes = [k for k in range(len(shape)) if k not in form.offset_dims]
    window_axes = [k for k in range(x.ndim) if k not in (*form.collapsed, *form.x_batch)]
    for position in np.ndindex(*shape):
        batch = tuple(position[k] for k in batch_axes)
        start, fits = [0] * x.ndim, True
        for j, axis in enumerate(form.start_map):
            start[axis] = int(indices[(*batch, j)])
            limit = x.shape[axis] - form.sizes[axis]
            fits &= 0 <= start[axis] <= limit
            start[axis] = min(max(start[axis], 0), limit)
        for axis, index_axis in zip(form.x_batch, form.index_batch):
            start[axis] = batch[index_axis]
        for axis, k in zip(window_axes, form.offset_dims):
            start[axis] += position[k]
        out[position] = x[tuple(start)] if fits or form.mode != "fill" else fill
    return out


# name: (x, indices, result) shapes, and the form's fields but its mode
GATHERS = {
    "rows": ((5, 3), (4, 1), (4, 3), ((1, 3), (1,), (0,), (0,), (), ())),
    "elements": ((5, 3), (4, 2), (4,), ((1, 1), (), (0, 1), (0, 1), (), ())),
    "windows": ((5, 6), (4, 2), (2, 4, 3), ((2, 3), (0, 2), (), (1, 0), (), ())),
    "batched": ((4, 5, 3), (4, 2, 1), (4, 3, 2), ((1, 1, 3), (1,), (1,), (1,), (0,), (0,))),
}


@pytest.mark.parametrize("mode", ("clip", "fill"))
@pytest.mark.parametrize("name", GATHERS)
def test_gather(name, mode):
    x_shape, i_shape, shape, fields = GATHERS[name]
    form = g.Gather(*fields, mode)
    x, indices = array(*x_shape), RNG.integers(-3, 8, i_shape).astype(np.int32)
    fill = np.float32(9)
    if mode == "fill":
        got = run(lambda b, x, i, f: b.gather(x, i, shape, form, f), x, indices, fill)
    else:
        got = run(lambda b, x, i: b.gather(x, i, shape, form), x, indices)
    np.testing.assert_array_equal(got, gather_by_loops(x, indices, fill, form, shape))


def scatter_by_loops(x, indices, updates, form):
    out = x.copy()
    batch_axes = [k for k in range(updates.ndim) if k not in form.window_dims]
    window_axes = [k for k in range(x.ndim) if k not in (*form.inserted, *form.x_batch)]
    sizes = [1] * x.ndim
    for axis, k in zip(window_axes, form.window_dims):
        sizes[axis] = updates.shape[k]
    combine = {"set": lambda a, u: u, "add": np.add, "mul": np.multiply, "max": np.maximum}[form.op]
    batch_shape = [updates.shape[k] for k in batch_axes]
    for batch in np.ndindex(*batch_shape):
        start, fits = [0] * x.ndim, True
        for j, axis in enumerate(form.start_map):
            start[axis] = int(indices[(*batch, j)])
            limit = x.shape[axis] - sizes[axis]
            fits &= 0 <= start[axis] <= limit
            start[axis] = min(max(start[axis], 0), limit)
        for axis, index_axis in zip(form.x_batch, form.index_batch):
            start[axis] = batch[index_axis]
        if not fits and form.mode != "clip":
            continue
        for offset in itertools.product(*(range(sizes[k]) for k in window_axes)):
            position = [0] * updates.ndim
            for k, n in zip(batch_axes, batch):
                position[k] = n
            target = list(start)
            for axis, k, n in zip(window_axes, form.window_dims, offset):
                position[k] = n
                target[axis] += n
            out[tuple(target)] = combine(out[tuple(target)], updates[tuple(position)])
    return out


SCATTERS = {
    "rows": ((5, 3), (4, 1), (4, 3), ((1,), (0,), (0,), (), ())),
    "elements": ((5, 3), (4, 2), (4,), ((), (0, 1), (0, 1), (), ())),
    "windows": ((5, 6), (4, 2), (2, 4, 3), ((0, 2), (), (1, 0), (), ())),
    "batched": ((4, 5, 3), (4, 2, 1), (4, 3, 2), ((1,), (1,), (1,), (0,), (0,))),
}


@pytest.mark.parametrize("mode", ("clip", "drop"))
@pytest.mark.parametrize("op", ("set", "add", "mul", "max"))
@pytest.mark.parametrize("name", SCATTERS)
def test_scatter(name, op, mode):
    x_shape, i_shape, u_shape, fields = SCATTERS[name]
    form = g.Scatter(op, *fields, mode, False)
    x, updates = array(*x_shape), array(*u_shape)
    indices = RNG.integers(-2, 6, i_shape).astype(np.int32)
    got = run(lambda b, x, i, u: b.scatter(x, i, u, form), x, indices, updates)
    np.testing.assert_allclose(got, scatter_by_loops(x, indices, updates, form), rtol=1e-6)


def test_scatter_into_a_scalar():
    form = g.Scatter("add", (), (), (), (), (), "drop", False)
    got = run(
        lambda b, x, i, u: b.scatter(x, i, u, form),
        np.float32(1),
        np.zeros((3, 0), np.int32),
        np.array([1, 2, 3], np.float32),
    )
    assert got == 7


def test_dynamic_windows_are_moved_inside():
    x = array(4, 5)
    got = run(lambda b, x, i, j: b.dynamic_slice(x, (i, j), (2, 3)), x, np.int32(9), np.int32(-1))
    np.testing.assert_array_equal(got, x[2:4, 0:3])
    new = np.zeros((1, 2), np.float32)
    got = run(
        lambda b, x, u, i, j: b.dynamic_update(x, u, (i, j)), x, new, np.int32(1), np.int32(7)
    )
    want = x.copy()
    want[1:2, 3:5] = 0
    np.testing.assert_array_equal(got, want)


def test_sort_is_lexicographic_and_stable():
    keys = np.array([2, 1, 2, 1], np.int32)
    more = np.array([np.nan, 3, -1, 3], np.float32)
    tags = np.arange(4, dtype=np.int32)
    a, b, c = run(lambda b, *xs: b.sort(xs, 0, 2), keys, more, tags)
    assert a.tolist() == [1, 1, 2, 2] and c.tolist() == [1, 3, 2, 0] and np.isnan(b[3])


def test_topk_puts_nan_first_and_lower_indices_before():
    x = np.array([[1, 3, 3, np.nan, 2]], np.float32)
    values, indices = run(lambda b, x: b.topk(x, 4), x)
    assert indices.tolist() == [[3, 1, 2, 4]] and values[0, 1:].tolist() == [3, 3, 2]


def test_threefry_has_the_published_values():
    ones = np.uint32(0xFFFFFFFF)
    a, b = run(lambda b, *ks: b.threefry(*ks), *[np.uint32(0)] * 4)
    assert (a, b) == (0x6B200159, 0x99BA4EFE)
    a, b = run(lambda b, *ks: b.threefry(*ks), *[ones] * 4)
    assert (a, b) == (0x1CB996FC, 0xBB002BE7)


def test_loops():
    child = g.Builder()
    carry, x = child.input((), np.float32), child.input((2,), np.float32)
    total = child.map("add", carry, child.reduce("add", x, (0,)))
    body = child.graph([total, total])

    def build(b, start, xs):
        return b.loop(body, (), (start,), (xs,), length=3, reverse=True)

    xs = np.arange(6, dtype=np.float32).reshape(3, 2)
    last, sums = run(build, np.float32(0), xs)
    assert last == 15 and sums.tolist() == [15, 14, 9]

    test = g.Builder()
    small = test.graph([test.map("lt", test.input((), np.int32), test.const(40, np.int32))])
    step = g.Builder()
    n = step.input((), np.int32)
    double = step.graph([step.map("add", n, n)])
    got = run(lambda b, n: b.while_loop(small, (), double, (), (n,)), np.int32(3))
    assert got == 48


def test_cond_clamps_its_index():
    branches = []
    for op in ("neg", "abs"):
        b = g.Builder()
        branches.append(b.graph([b.map(op, b.input((), np.float32))]))
    for index, want in ((-5, -2), (0, -2), (1, 2), (7, 2)):
        got = run(lambda b, i, x: b.cond(i, branches, (x,)), np.int32(index), np.float32(2))
        assert got == want


def test_effects_run_though_no_one_reads_them():
    seen = []

    def build(b, x):
        b.opaque("show", lambda v: seen.append(v.item()), (x,), (), effect=True)
        return b.map("neg", x)

    assert run(build, np.float32(3)) == -3 and seen == [3]


def test_kernel_calls_need_a_device():
    form = g.KernelCall("", "f", (1,), None)
    with pytest.raises(NotImplementedError, match="KernelCall"):
        run(lambda b, x: b.kernel_call(form, (x,), [((), np.float32)]), np.float32(1))
