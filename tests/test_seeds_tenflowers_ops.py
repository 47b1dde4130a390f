"""TenfloweRS-autograd's operations."""

from __future__ import annotations

import numpy as np
from seed_rows import Jitted, Row, f32, in_three_forms, points

import fx.numpy as fnp
from fx import lax, nn

E0 = f32([1, 0, 0])

OPERATIONS = [
    Row(
        "add",
        lambda x, y: x + y,
        (f32([[1], [2]]), f32([[1, 2, 3], [4, 5, 6]])),
        None,
        {0: [[6], [15]]},
        f32([[1, 2, 3], [4, 5, 6]]),
    ),
    Row(
        "sub",
        lambda y, x: y - x,
        (f32([[1, 2, 3], [4, 5, 6]]), f32([[1], [2]])),
        None,
        {1: [[-6], [-15]]},
        f32([[1, 2, 3], [4, 5, 6]]),
    ),
    Row(
        "mul", lambda x, w: x * w, (f32([2, 3]), f32([1, 0.5])), [2, 1.5], {0: [1, 0.5], 1: [2, 3]}
    ),
    Row("div", lambda y: 3 / y, (f32(2),), 1.5, {0: -0.75}),
    Row("div-broadcast", lambda x, y: x / y, (f32([2, 4]), f32(2)), [1, 2], {1: -1.5}),
    Row("pow", fnp.power, (f32(2), f32(3)), 8.0, {0: 12, 1: 5.5451774}),
    Row("pow-integer", lambda x: lax.integer_pow(x, 3), (f32([0, -2]),), [0, -8], {0: [0, 12]}),
    Row("neg", fnp.negative, (f32(2),), -2.0, {0: -1}),
    Row(
        "matmul",
        fnp.matmul,
        (f32([[1, 2], [3, 4]]), f32([[5], [6]])),
        [[17], [39]],
        {0: [[5, 6], [5, 6]], 1: [[4], [6]]},
    ),
    Row(
        "transpose",
        lambda x: fnp.transpose(x, (2, 0, 1)),
        (np.ones((2, 3, 4), "f"),),
        np.ones((4, 2, 3)),
        {0: np.ones((2, 3, 4))},
    ),
    Row(
        "reshape",
        lambda x: x.reshape(3, 2),
        (f32([[1, 2, 3], [4, 5, 6]]),),
        [[1, 2], [3, 4], [5, 6]],
        {0: np.ones((2, 3))},
    ),
    Row(
        "sum",
        lambda x: x.sum(1),
        (np.ones((2, 3), "f"),),
        [3, 3],
        {0: [[1] * 3, [10] * 3]},
        f32([1, 10]),
    ),
    Row(
        "mean",
        lambda x: x.mean(1),
        (np.ones((2, 3), "f"),),
        [1, 1],
        {0: [[1 / 3] * 3, [10 / 3] * 3]},
        f32([1, 10]),
    ),
    Row("max", lambda x: (x.max(), x.argmax()), (f32([1, 3, 2]),), (3, 1)),
    Row("max-gradient", fnp.max, (f32([2, 2, 1]),), 2.0, {0: [0.5, 0.5, 0]}),
    Row("relu", nn.relu, (f32([-1, 0, 2]),), [0, 0, 2], {0: [0, 0, 1]}),
    *points("sigmoid", nn.sigmoid, (0.7, 0.66818777, 0.22171287), (100, 1, 0), (-100, 0, 0)),
    *points("tanh", fnp.tanh, (0.7, 0.60436778, 0.63473959)),
    Row(
        "softmax",
        nn.softmax,
        (f32([1, 2, 3]),),
        None,
        {0: [0.08192507, -0.02203304, -0.05989202]},
        E0,
    ),
    *points("gelu", lambda x: nn.gelu(x, approximate=False), (-1.2, -0.1380836, -0.1179536)),
    *points("gelu_tanh", nn.gelu, (-1.2, -0.13829723, -0.11772613)),
    *points("mish", nn.mish, (-1.2, -0.3088358, -0.0020087614)),
    Row(
        "conv2d",
        nn.conv2d,
        (np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), np.eye(2, dtype="f")[None, None]),
        [[[[4, 6], [10, 12]]]],
        {0: [[[[1, 1, 0], [1, 2, 1], [0, 1, 1]]]], 1: [[[[8, 12], [20, 24]]]]},
    ),
    Row(
        "max_pool2d",
        lambda x: nn.max_pool2d(x, 2),
        (f32([[1, 2], [4, 3]])[None, None],),
        [[[[4]]]],
        {0: [[[[0, 0], [1, 0]]]]},
    ),
    Row(
        "batch_norm",
        lambda x, g, b: nn.batch_norm(x, None, g, b, channel=0),
        (f32([1, 2, 4]), f32([1]), f32([0])),
        [-1.06904153, -0.26726038, 1.33630191],
        {0: [0.22908229, -0.34362, 0.11453771], 1: [-1.06904153], 2: [1]},
        E0,
        tol=1e-5,
    ),
    Row(
        "logsumexp",
        nn.logsumexp,
        (f32([1, 2, 4]),),
        4.1698460,
        {0: [0.04201007, 0.1141952, 0.84379473]},
    ),
    Row("logsumexp-large", nn.logsumexp, (f32([1000, 1000]),), 1000.6931472),
    Row(
        "layer_norm",
        nn.layer_norm,
        (f32([1, 2, 3, 4]),),
        [-1.34163542, -0.44721181, 0.44721181, 1.34163542],
        {0: [0.2683303, -0.35776837, -0.08944343, 0.1788815]},
        f32([1, 0, 0, 0]),
        tol=1e-5,
    ),
    Row(
        "group_norm",
        lambda x: nn.group_norm(x, 2, eps=0.0),
        (f32([1, 3, 2, 6])[None, :, None],),
        [[[-1], [1], [-1], [1]]],
    ),
]
JITTED = Jitted(OPERATIONS)
test_operation_eager, test_operation_jit, test_operation_vmap = in_three_forms(JITTED)
