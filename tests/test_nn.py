"""fx.nn beyond the seeds: masks, attention against a loop, initialisers, state of batch norm."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as fnp
from fx import nn
from fx.nn import initializers

pytestmark = pytest.mark.eager


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


SMOOTH = [
    nn.gelu,
    nn.silu,
    nn.mish,
    nn.softplus,
    nn.sigmoid,
    nn.log_sigmoid,
    nn.soft_sign,
    nn.squareplus,
    nn.elu,
    nn.celu,
    nn.selu,
    lambda x: nn.gelu(x, approximate=False),
    lambda x: nn.glu(x),
    lambda x: nn.softmax(x),
    lambda x: nn.log_softmax(x),
    lambda x: nn.logsumexp(x),
    lambda x: nn.standardize(x),
    lambda x: nn.normalize(x),
    lambda x: nn.log1mexp(fnp.abs(x) + 0.2),
]


@pytest.mark.parametrize("k", range(len(SMOOTH)))
def test_derivatives_to_second_order(k):
    fx.check_grads(SMOOTH[k], (normal(2, 4),), order=2)


def test_masked_softmax_ignores_what_is_masked():
    x, mask = normal(3, 5), np.array([True, True, False, True, False])
    y = nn.softmax(x, where=mask)
    np.testing.assert_allclose(y[:, mask], nn.softmax(x[:, mask]), rtol=1e-6)
    assert np.all(np.asarray(y)[:, ~mask] == 0)
    z = nn.log_softmax(x, where=mask)
    np.testing.assert_allclose(z[:, mask], nn.log_softmax(x[:, mask]), rtol=1e-5)


def test_logsumexp_with_weights_and_sign():
    x, b = normal(6), normal(6)
    value, sign = nn.logsumexp(x, b=b, return_sign=True)
    total = float((b * np.exp(x)).sum())
    assert float(sign) == np.sign(total)
    assert float(value) == pytest.approx(np.log(abs(total)), rel=1e-5)
    assert float(nn.logsumexp(fnp.array([-np.inf, -np.inf]))) == -np.inf
    assert float(nn.logmeanexp(fnp.zeros(4))) == pytest.approx(0, abs=1e-6)


def test_one_hot():
    assert nn.one_hot(fnp.array([0, 2, 5]), 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert nn.one_hot(fnp.array([0, 1]), 3, axis=0).shape == (3, 2)
    assert nn.one_hot(1, 2, dtype=np.int8).dtype == np.int8


def attention(q, k, v, mask=None):
    """One head, by hand."""
    scores = q @ k.T / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    w = np.exp(scores - scores.max(-1, keepdims=True))
    return w / w.sum(-1, keepdims=True) @ v


def test_attention_is_a_softmax_of_products():
    q, k, v = normal(2, 5, 4, 8), normal(2, 6, 4, 8), normal(2, 6, 4, 8) * 2
    out = nn.dot_product_attention(q, k, v)
    causal = nn.dot_product_attention(q, k, v, is_causal=True)
    shared = nn.dot_product_attention(q, k[:, :, :2], v[:, :, :2])
    lower = np.tri(5, 6, dtype=bool)
    for b in range(2):
        for h in range(4):
            args = q[b, :, h], k[b, :, h], v[b, :, h]
            np.testing.assert_allclose(out[b, :, h], attention(*args), atol=1e-5)
            np.testing.assert_allclose(causal[b, :, h], attention(*args, lower), atol=1e-5)
            grouped = attention(q[b, :, h], k[b, :, h // 2], v[b, :, h // 2])
            np.testing.assert_allclose(shared[b, :, h], grouped, atol=1e-5)


def test_attention_of_padded_sequences():
    q, k, v = normal(2, 5, 2, 4), normal(2, 5, 2, 4), normal(2, 5, 2, 4)
    lengths = np.array([3, 5])
    out = nn.dot_product_attention(q, k, v, key_value_seq_lengths=lengths)
    cut = nn.dot_product_attention(q[:1], k[:1, :3], v[:1, :3])
    np.testing.assert_allclose(out[:1], cut, atol=1e-5)
    local = nn.dot_product_attention(q, k, v, local_window_size=0)
    np.testing.assert_allclose(local, v, atol=1e-5)


def test_attention_refuses_masks_that_are_added_and_dtypes_that_differ():
    q, k, v = normal(2, 5, 2, 4), normal(2, 5, 2, 4), normal(2, 5, 2, 4)
    with pytest.raises(ValueError, match=r"mask dtype should be bool, but got float32.*bias"):
        nn.dot_product_attention(q, k, v, mask=np.zeros((2, 2, 5, 5), np.float32))
    with pytest.raises(ValueError, match="value dtype should be float16"):
        nn.dot_product_attention(q, k.astype(np.float16), v)
    with pytest.raises(ValueError, match="query dtype should be float16"):
        nn.dot_product_attention(q, k.astype(np.float16), v.astype(np.float16))
    with pytest.raises(ValueError, match="implementation 'fast'"):
        nn.dot_product_attention(q, k, v, implementation="fast")


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        ("uniform", 0.1833626 + 0.008409108j),
        ("truncated_normal", 0.19629359 + 0.00900213j),
    ],
)
def test_complex_initialisers_have_jaxs_numbers(distribution, value):
    init = initializers.variance_scaling(2.0, "fan_in", distribution)
    x = init(fx.random.key(0), (100, 50), "complex64")
    assert x.dtype == np.complex64
    np.testing.assert_allclose(x[0, 0], value, rtol=1e-5)
    assert float(fnp.mean(abs(x) ** 2)) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("make", "variance"),
    [
        (initializers.glorot_normal, 2 / (200 + 100)),
        (initializers.glorot_uniform, 2 / (200 + 100)),
        (initializers.he_normal, 2 / 200),
        (initializers.he_uniform, 2 / 200),
        (initializers.lecun_normal, 1 / 200),
        (initializers.lecun_uniform, 1 / 200),
    ],
)
def test_initialisers_have_their_variance(make, variance):
    x = make()(fx.random.key(0), (200, 100))
    assert float(x.var()) == pytest.approx(variance, rel=0.05)
    assert abs(float(x.mean())) < 0.01


def test_orthogonal_initialiser():
    for shape in ((5, 5), (3, 7), (7, 3)):
        x = np.asarray(initializers.orthogonal()(fx.random.key(1), shape))
        small = x @ x.T if shape[0] <= shape[1] else x.T @ x
        np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-5)
    k = initializers.delta_orthogonal()(fx.random.key(1), (3, 3, 2, 4))
    assert float(fnp.abs(k).sum() - fnp.abs(k[1, 1]).sum()) == 0


def test_batch_norm_keeps_its_state():
    x = normal(8, 3, 4)
    state = nn.init_batch_norm(3)
    y, new = nn.batch_norm(x, state)
    np.testing.assert_allclose(np.asarray(y).mean((0, 2)), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(new.mean, 0.1 * x.mean((0, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(new.var, 0.9 + 0.1 * x.var((0, 2), ddof=1), rtol=1e-4)
    z, same = nn.batch_norm(x, new, training=False)
    assert same is new
    expected = (x - np.asarray(new.mean)[:, None]) / np.sqrt(np.asarray(new.var)[:, None] + 1e-5)
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)


def test_norms_agree_where_they_coincide():
    x = normal(2, 6, 5)
    np.testing.assert_allclose(nn.group_norm(x, 6), nn.instance_norm(x), atol=1e-5)
    np.testing.assert_allclose(
        nn.group_norm(x, 1), nn.layer_norm(x, axis=(1, 2)), rtol=1e-5, atol=1e-5
    )
    r = nn.rms_norm(x)
    np.testing.assert_allclose(np.asarray(r**2).mean(-1), np.ones((2, 6)), rtol=1e-3)


def test_pools_over_windows():
    x = normal(1, 2, 6, 6)
    window = x.reshape(1, 2, 3, 2, 3, 2)
    np.testing.assert_allclose(nn.max_pool2d(x, 2), window.max((3, 5)))
    np.testing.assert_allclose(nn.avg_pool2d(x, 2), window.mean((3, 5)), rtol=1e-5)
    np.testing.assert_allclose(nn.adaptive_avg_pool2d(x, 3), window.mean((3, 5)), rtol=1e-5)
    assert nn.max_pool2d(x, 3, stride=2, padding=1).shape == (1, 2, 3, 3)


def test_segments():
    from fx import ops

    data, ids = fnp.arange(5.0), np.array([0, 0, 2, 2, -1])
    assert ops.segment_sum(data, ids, 4).tolist() == [1, 0, 5, 0]
    assert ops.segment_prod(data, ids, 3).tolist() == [0, 1, 6]
    assert ops.segment_max(data, ids, 3).tolist() == [1, -np.inf, 3]
    assert ops.segment_min(data, ids, 3).tolist() == [0, np.inf, 2]
    assert ops.segment_sum(data, ids, 3, bucket_size=2).tolist() == [1, 0, 5]
    g = fx.grad(lambda d: (ops.segment_sum(d, ids, 3) * np.array([1.0, 2, 3], "f")).sum())(data)
    assert g.tolist() == [1, 1, 3, 3, 0]
    with pytest.raises(fx.errors.ConcretizationTypeError, match="num_segments"):
        fx.jit(ops.segment_sum)(data, ids)
