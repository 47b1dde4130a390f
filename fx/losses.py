"""Losses, element by element or per example, with optax's names; reduce them with mean or sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import lax, nn
from fx import numpy as fnp

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "convex_kl_divergence",
    "cosine_distance",
    "cosine_similarity",
    "ctc_loss",
    "hinge_loss",
    "huber_loss",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "l2_loss",
    "log_cosh",
    "multiclass_hinge_loss",
    "perceptron_loss",
    "poly_loss_cross_entropy",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_labels",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "squared_error",
    "triplet_margin_loss",
]


def _same_shape(name: str, a: Any, b: Any) -> None:
    if np.shape(a) != np.shape(b) and () not in (np.shape(a), np.shape(b)):
        raise ValueError(f"{name}: shapes {np.shape(a)} and {np.shape(b)} differ")


# ---------------------------------------------------------------- regression


def squared_error(predictions: Any, targets: Any = None) -> Any:
    """(predictions - targets)^2, element by element; ValueError where shapes differ. `targets`
    None: zeros.
    """
    errors = _errors("squared_error", predictions, targets)
    return errors * errors


def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """(predictions - targets)^2 / 2, element by element; ValueError where shapes differ. `targets`
    None: zeros.
    """
    return 0.5 * squared_error(predictions, targets)


def absolute_error(predictions: Any, targets: Any = None) -> Any:
    """|predictions - targets|, element by element; ValueError where shapes differ. `targets` None:
    zeros.
    """
    return fnp.abs(_errors("absolute_error", predictions, targets))


def _errors(name: str, predictions: Any, targets: Any) -> Any:
    predictions = fnp.asarray(predictions)
    if targets is None:
        return predictions
    _same_shape(name, predictions, targets)
    return predictions - targets


def huber_loss(predictions: Any, targets: Any = None, delta: float = 1.0) -> Any:
    """e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2), for e = predictions - targets,
    element by element; ValueError where shapes differ.

    >>> huber_loss(fnp.array([0.5, 3.0]), fnp.zeros(2))
    Array([0.125, 2.5  ], dtype=float32)
    """
    size = fnp.abs(_errors("huber_loss", predictions, targets))
    quadratic = fnp.minimum(size, delta)
    return 0.5 * quadratic**2 + delta * (size - quadratic)


def log_cosh(predictions: Any, targets: Any = None) -> Any:
    """log(cosh(predictions - targets)), element by element, without overflow; ValueError where
    shapes differ.
    """
    errors = _errors("log_cosh", predictions, targets)
    return fnp.logaddexp(errors, -errors) - fnp.log(2.0).astype(errors.dtype)


def cosine_similarity(predictions: Any, targets: Any, epsilon: float = 0.0, axis: Any = -1) -> Any:
    """The cosine of the angle along an axis; zero vectors give 0, with finite derivatives."""
    a, b = fnp.asarray(predictions), fnp.asarray(targets)

    def unit(v: Any) -> Any:
        zero = fnp.all(v == 0, axis=axis, keepdims=True)
        size = fnp.linalg.norm(fnp.where(zero, 1.0, v), axis=axis, keepdims=True)
        return v / fnp.where(zero, 1.0, fnp.maximum(size, epsilon) if epsilon > 0 else size)

    return fnp.sum(unit(a) * unit(b), axis=axis)


def cosine_distance(predictions: Any, targets: Any, epsilon: float = 0.0, axis: Any = -1) -> Any:
    """1 - cosine_similarity along an axis: 0 for equal directions, 2 for opposite ones."""
    return 1.0 - cosine_similarity(predictions, targets, epsilon, axis)


# ---------------------------------------------------------------- classification


def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """-labels log(sigmoid(logits)) - (1 - labels) log(sigmoid(-logits)); finite for all logits."""
    logits, labels = fnp.asarray(logits), fnp.asarray(labels).astype(fnp.result_type(logits))
    return -labels * nn.log_sigmoid(logits) - (1.0 - labels) * nn.log_sigmoid(-logits)


def binary_cross_entropy(probabilities: Any, labels: Any, eps: float = 1e-7) -> Any:
    """The same from probabilities, which are clipped to [eps, 1 - eps]."""
    p = fnp.asarray(probabilities)
    inside = (p >= eps) & (p <= 1 - eps)
    p = fnp.where(inside, p, lax.stop_gradient(fnp.clip(p, eps, 1 - eps)))
    return -(labels * fnp.log(p) + (1 - fnp.asarray(labels)) * fnp.log1p(-p))


def softmax_cross_entropy(logits: Any, labels: Any, axis: Any = -1, where: Any = None) -> Any:
    """-sum(labels * log_softmax(logits)) along `axis`, which the result lacks: [.., k] and [.., k]
    give [..]. Labels are probabilities; `where` leaves classes out.
    """
    logits = fnp.asarray(logits)
    logs = nn.log_softmax(logits, axis, where)
    return -fnp.sum(fnp.asarray(labels) * logs, axis=axis, where=where)


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """softmax_cross_entropy along the last axis, where a label of 0 silences a logit of -inf."""
    labels = fnp.asarray(labels)
    logs = nn.log_softmax(fnp.asarray(logits), axis=-1)
    return -fnp.sum(
        fnp.where(labels == 0, 0.0, labels * fnp.where(labels == 0, 0.0, logs)), axis=-1
    )


def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: int = -1, where: Any = None
) -> Any:
    """logsumexp(logits) - logits[label] along `axis`: logits [.., k] and integers [..] give [..].

    Negative labels count from the end, too large ones as the last class; raises TypeError where
    they are no integers.

    >>> softmax_cross_entropy_with_integer_labels(fnp.zeros((2, 4)), fnp.array([0, 3]))
    Array([1.3862944, 1.3862944], dtype=float32)
    """
    logits, labels = fnp.asarray(logits), fnp.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got {labels.dtype.name}")
    chosen = fnp.take_along_axis(logits, fnp.expand_dims(labels, axis), axis, mode="clip")
    out = nn.logsumexp(logits, axis=axis, where=where) - fnp.squeeze(chosen, axis)
    return out


def poly_loss_cross_entropy(logits: Any, labels: Any, epsilon: float = 2.0, axis: Any = -1) -> Any:
    """softmax_cross_entropy plus epsilon (1 - p), p the labels' probability along `axis` (Leng et
    al. 2022).
    """
    p = nn.softmax(logits, axis=axis)
    correction = 1 - fnp.sum(labels * p, axis=axis)
    return softmax_cross_entropy(logits, labels, axis) + epsilon * correction


def sigmoid_focal_loss(
    logits: Any, labels: Any, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    """sigmoid_binary_cross_entropy times (1 - p)^gamma, p the label's probability, and times alpha,
    or 1 - alpha for a label of 0, if it is given (Lin et al. 2017).
    """
    labels = fnp.asarray(labels).astype(fnp.asarray(logits).dtype)
    p = nn.sigmoid(logits)
    loss = sigmoid_binary_cross_entropy(logits, labels)
    chosen = p * labels + (1 - p) * (1 - labels)
    loss = loss * (1 - chosen) ** gamma
    if alpha is not None:
        loss = (alpha * labels + (1 - alpha) * (1 - labels)) * loss
    return loss


def hinge_loss(predictor_outputs: Any, targets: Any) -> Any:
    """max(0, 1 - outputs * targets), element by element, for targets of -1 and 1."""
    return fnp.maximum(0, 1 - fnp.asarray(predictor_outputs) * targets)


def perceptron_loss(predictor_outputs: Any, targets: Any) -> Any:
    """max(0, -outputs * targets), element by element, for targets of -1 and 1."""
    return fnp.maximum(0, -fnp.asarray(predictor_outputs) * targets)


def multiclass_hinge_loss(scores: Any, labels: Any) -> Any:
    """max over classes of (score + [class != label]) - score of the label: scores [.., k] and
    integers [..] give [..].
    """
    scores = fnp.asarray(scores)
    codes = nn.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
    return fnp.max(scores + 1.0 - codes, axis=-1) - fnp.sum(scores * codes, axis=-1)


def smooth_labels(labels: Any, alpha: float) -> Any:
    """(1 - alpha) labels + alpha / k, for labels [.., k] of k classes: they still sum to one."""
    labels = fnp.asarray(labels)
    return (1.0 - alpha) * labels + alpha / labels.shape[-1]


# ---------------------------------------------------------------- distributions


def kl_divergence(log_predictions: Any, targets: Any, axis: Any = -1) -> Any:
    """sum(targets * (log(targets) - log_predictions)) along `axis`, with 0 log 0 = 0: [.., k] to
    [..].
    """
    targets = fnp.asarray(targets)
    logs = fnp.where(targets == 0, 0.0, fnp.log(fnp.where(targets == 0, 1.0, targets)))
    return fnp.sum(targets * (logs - log_predictions), axis=axis)


def kl_divergence_with_log_targets(log_predictions: Any, log_targets: Any, axis: Any = -1) -> Any:
    """kl_divergence with the logarithm of the targets: [.., k] and [.., k] give [..]."""
    return fnp.sum(fnp.exp(log_targets) * (log_targets - log_predictions), axis=axis)


def convex_kl_divergence(log_predictions: Any, targets: Any, axis: Any = -1) -> Any:
    """kl_divergence + sum(predictions - targets) along `axis`: convex in both arguments."""
    rest = fnp.sum(fnp.exp(log_predictions) - targets, axis=axis)
    return kl_divergence(log_predictions, targets, axis) + rest


def triplet_margin_loss(
    anchors: Any,
    positives: Any,
    negatives: Any,
    axis: int = -1,
    norm_degree: float = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
) -> Any:
    """max(0, |a - p| - |a - n| + margin) with norms of degree norm_degree along `axis`, which the
    result lacks; `eps` in the norms keeps derivatives finite.
    """

    def distance(v: Any) -> Any:
        return fnp.sum((fnp.abs(fnp.asarray(anchors) - v)) ** norm_degree + eps, axis=axis) ** (
            1 / norm_degree
        )

    return fnp.maximum(distance(positives) - distance(negatives) + margin, 0)


def ctc_loss(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    blank_id: int = 0,
    log_epsilon: float = -1e5,
) -> Any:
    """-log of the probability of the labels over all alignments with blanks (Graves et al. 2006).

    logits [b, t, k], logit_paddings [b, t], labels [b, n], label_paddings [b, n] (1 = padding).
    """
    logs = nn.log_softmax(fnp.asarray(logits))
    labels = fnp.asarray(labels)
    b, n = labels.shape
    lengths = (n - fnp.sum(label_paddings, axis=1)).astype(np.int32)
    blank = fnp.moveaxis(logs[:, :, blank_id], 1, 0)[:, :, None]
    codes = nn.one_hot(labels, logs.shape[-1], dtype=logs.dtype)
    emit = fnp.moveaxis(fnp.einsum("btk,bnk->btn", logs, codes), 1, 0)
    repeated = fnp.pad(labels[:, 1:] == labels[:, :-1], ((0, 0), (1, 0)))
    # Log-probabilities of having emitted k labels with a blank last, and k + 1 labels with a label
    # last.
    blanks = fnp.full((b, n + 1), log_epsilon, logs.dtype).at[:, 0].set(0.0)
    emits = fnp.full((b, n), log_epsilon, logs.dtype)
    nothing = fnp.full((b, 1), log_epsilon, logs.dtype)

    def step(state: Any, item: Any) -> Any:
        blanks, emits = state
        p_emit, p_blank, padded = item
        earlier = fnp.concatenate([nothing, emits], axis=1)
        new_blanks = p_blank + fnp.logaddexp(blanks, earlier)
        fresh = fnp.where(repeated, log_epsilon, earlier[:, :-1])
        new_emits = p_emit + fnp.logaddexp(fnp.logaddexp(emits, blanks[:, :-1]), fresh)
        keep = padded[:, None] > 0
        return (fnp.where(keep, blanks, new_blanks), fnp.where(keep, emits, new_emits)), None

    paddings = fnp.moveaxis(fnp.asarray(logit_paddings).astype(logs.dtype), 1, 0)
    (blanks, emits), _ = lax.scan(step, (blanks, emits), (emit, blank, paddings))
    total = fnp.logaddexp(blanks, fnp.concatenate([nothing, emits], axis=1))
    return -fnp.take_along_axis(total, lengths[:, None], axis=1, mode="clip")[:, 0]
