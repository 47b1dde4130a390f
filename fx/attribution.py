"""Which inputs a prediction rests on: saliency, integrated gradients, SmoothGrad, guided
backpropagation; and `dependence`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx import numpy as fnp
from fx import random
from fx.custom import custom_vjp
from fx.grad import grad
from fx.passes import dce_jaxpr
from fx.trace import make_jaxpr
from fx.tree_util import tree_flatten, tree_map
from fx.vmap import vmap

__all__ = [
    "dependence",
    "grad_times_input",
    "guided_relu",
    "integrated_gradients",
    "saliency",
    "smooth_grad",
]


def saliency(fun: Callable[[Any], Any], x: Any) -> Any:
    """|gradient| of a scalar function by its input (Simonyan et al. 2014).

    >>> import fx.numpy as fnp
    >>> saliency(lambda x: x @ fnp.array([1.0, -2.0]), fnp.ones(2)).tolist()
    [1.0, 2.0]
    """
    return tree_map(fnp.abs, grad(fun)(x))


def grad_times_input(fun: Callable[[Any], Any], x: Any) -> Any:
    """gradient * input: each entry's share of a function that is linear (Shrikumar et al. 2017).

    >>> import fx.numpy as fnp
    >>> grad_times_input(lambda x: x @ fnp.array([1.0, -2.0]), fnp.array([3.0, 4.0])).tolist()
    [3.0, -8.0]
    """
    return tree_map(lambda g, v: g * v, grad(fun)(x), x)


def integrated_gradients(
    fun: Callable[[Any], Any], x: Any, baseline: Any = None, steps: int = 64
) -> Any:
    """(x - baseline) times the mean gradient on the line between them (Sundararajan et al. 2017).

    Attributions sum to fun(x) - fun(baseline) up to the error of the midpoint rule with `steps`
    points.

    >>> import fx.numpy as fnp
    >>> w = fnp.array([1.0, -2.0])
    >>> integrated_gradients(lambda x: x @ w, fnp.array([3.0, 4.0]))
    Array([ 3., -8.], dtype=float32)
    """
    x = tree_map(fnp.asarray, x)
    start = tree_map(fnp.zeros_like, x) if baseline is None else tree_map(fnp.asarray, baseline)
    places = (fnp.arange(steps) + 0.5) / steps

    def at(t: Any) -> Any:
        return grad(fun)(tree_map(lambda a, b: a + t.astype(a.dtype) * (b - a), start, x))

    mean = tree_map(lambda g: fnp.mean(g, axis=0), vmap(at)(places))
    return tree_map(lambda g, a, b: g * (b - a), mean, start, x)


def smooth_grad(
    fun: Callable[[Any], Any], x: Any, key: Any, noise: float = 0.1, samples: int = 50
) -> Any:
    """The mean gradient under normal noise on the input (Smilkov et al. 2017).

    `noise` is the standard deviation; the `samples` gradients are computed as one batch.

    >>> import fx.numpy as fnp
    >>> smooth_grad(lambda x: (3 * x).sum(), fnp.ones(2), fx.random.key(0), samples=4).tolist()
    [3.0, 3.0]
    """
    x = fnp.asarray(x)

    def one(key: Any) -> Any:
        return grad(fun)(x + noise * random.normal(key, x.shape, x.dtype))

    return fnp.mean(vmap(one)(random.split(key, samples)), axis=0)


@custom_vjp
def guided_relu(x: Any) -> Any:
    """relu whose backward pass lets only positive cotangents through (Springenberg et al. 2015).

    >>> import fx.numpy as fnp
    >>> fx.grad(lambda x: -guided_relu(x).sum())(fnp.ones(2)).tolist()
    [0.0, 0.0]
    """
    return fnp.maximum(x, 0)


def _guided_forward(x: Any) -> tuple[Any, Any]:
    return fnp.maximum(x, 0), x > 0


def _guided_backward(positive: Any, ct: Any) -> tuple[Any]:
    return (fnp.where(positive & (ct > 0), ct, fnp.zeros_like(ct)),)


guided_relu.defvjp(_guided_forward, _guided_backward)


def dependence(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that says, for each output leaf, which input leaves it depends on.

    The result has the outputs' structure; each leaf is a tuple with one tree of booleans per
    argument. It is read off the jaxpr: no values are computed.

    >>> dependence(lambda x, y: {"a": x + 1, "b": x * y})(1.0, 2.0)
    {'a': (True, False), 'b': (True, True)}
    """

    def depends(*args: Any, **kwargs: Any) -> Any:
        closed, shapes = make_jaxpr(fun, return_shape=True)(*args, **kwargs)
        leaves, structure = tree_flatten(args)
        _, out_structure = tree_flatten(shapes)
        count = len(closed.jaxpr.outvars)
        found = []
        for k in range(count):
            used = dce_jaxpr(closed.jaxpr, [j == k for j in range(count)])[1]
            found.append(structure.unflatten(used[: len(leaves)]))
        return out_structure.unflatten(found)

    return depends
