"""Second-order tools: Gauss-Newton products, Fisher information, Laplacians, gradients per example.

Everything is a composition of jvp, vjp and vmap: no matrix larger than its result is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx import lax, random
from fx import numpy as fnp
from fx.flatten_util import ravel_pytree
from fx.grad import grad, linearize, vjp
from fx.jacobian import hvp
from fx.jvp import jvp
from fx.tree_util import tree_map
from fx.vmap import vmap

__all__ = [
    "empirical_fisher",
    "fisher_diag",
    "forward_gradient",
    "ggn_product",
    "hvp",
    "laplacian",
    "per_example_grads",
]


def per_example_grads(loss: Callable[..., Any], params: Any, *batch: Any) -> Any:
    """The gradient of loss(params, *example) for each example: leaves gain a leading axis.

    >>> import fx.numpy as fnp
    >>> per_example_grads(lambda w, x: w * x, fnp.array(1.0), fnp.array([2.0, 3.0])).tolist()
    [2.0, 3.0]
    """
    return vmap(grad(loss), in_axes=(None,) + (0,) * len(batch))(params, *batch)


def empirical_fisher(loss: Callable[..., Any], params: Any, *batch: Any) -> Any:
    """The mean of g g^T over examples, as a matrix over the flattened parameters; g is the gradient
    of one example's loss.

    >>> import fx.numpy as fnp
    >>> empirical_fisher(lambda w, x: w @ x, fnp.ones(2), fnp.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    """

    def flat(*example: Any) -> Any:
        return ravel_pytree(grad(loss)(params, *example))[0]

    g = vmap(flat)(*batch)
    return g.T @ g / g.shape[0]


def fisher_diag(loss: Callable[..., Any], params: Any, *batch: Any) -> Any:
    """The diagonal of the empirical Fisher matrix, with the parameters' structure.

    >>> import fx.numpy as fnp
    >>> fisher_diag(lambda w, x: w @ x, fnp.ones(2), fnp.array([[1.0, 2.0]])).tolist()
    [1.0, 4.0]
    """
    return tree_map(lambda g: fnp.mean(g * g, axis=0), per_example_grads(loss, params, *batch))


def ggn_product(
    model: Callable[[Any], Any], loss: Callable[[Any], Any], params: Any, v: Any
) -> Any:
    """J^T H J v, with J the derivative of the model and H the Hessian of the loss of its output.

    >>> import fx.numpy as fnp
    >>> f = lambda p: p * fnp.array([1.0, 2.0])
    >>> ggn_product(f, lambda y: (y ** 2).sum(), fnp.array(3.0), fnp.array(1.0)).item()
    10.0
    """
    out, jv = jvp(model, (params,), (v,))
    hjv = hvp(loss, (out,), (jv,))
    _, pull = vjp(model, params)
    return pull(hjv)[0]


def laplacian(fun: Callable[[Any], Any], x: Any) -> Any:
    """The trace of the Hessian of a scalar function, by one forward-over-reverse product per axis.

    >>> import fx.numpy as fnp
    >>> laplacian(lambda x: (x ** 3).sum(), fnp.array([1.0, 2.0])).item()
    18.0
    """
    flat, rebuild = ravel_pytree(x)

    def gradient(v: Any) -> Any:
        return ravel_pytree(grad(fun)(rebuild(v)))[0]

    _, push = linearize(gradient, flat)
    eye = fnp.eye(flat.shape[0], dtype=flat.dtype)

    def step(total: Any, e: Any) -> tuple[Any, None]:
        return total + fnp.dot(e, push(e)), None

    return lax.scan(step, fnp.zeros((), flat.dtype), eye)[0]


def forward_gradient(fun: Callable[[Any], Any], x: Any, key: Any, samples: int = 1) -> Any:
    """An unbiased estimate of the gradient from forward mode alone: the mean of (g . v) v, v
    normal.

    Baydin et al., "Gradients without backpropagation", 2022.

    >>> import fx.numpy as fnp
    >>> forward_gradient(lambda x: (x * x).sum(), fnp.ones(3), fx.random.key(0)).shape
    (3,)
    """
    flat, rebuild = ravel_pytree(x)

    def one(key: Any) -> Any:
        v = random.normal(key, flat.shape, flat.dtype)
        return jvp(lambda p: fun(rebuild(p)), (flat,), (v,))[1] * v

    return rebuild(fnp.mean(vmap(one)(random.split(key, samples)), axis=0))
