"""Layers as pairs of functions: init(key, input_shape) -> (output_shape, params), and
apply(params, inputs, **kwargs) -> outputs.

`serial` and `parallel` compose pairs to pairs. Keys are split as in JAX's stax, so the same key
gives the same parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import fx.numpy as fnp
from fx import lax, random
from fx.nn import elu as elu
from fx.nn import gelu as gelu
from fx.nn import leaky_relu as leaky_relu
from fx.nn import log_softmax as log_softmax
from fx.nn import relu as relu
from fx.nn import selu as selu
from fx.nn import sigmoid as sigmoid
from fx.nn import softmax as softmax
from fx.nn import softplus as softplus
from fx.nn import standardize as standardize
from fx.nn.initializers import glorot_normal as glorot_normal
from fx.nn.initializers import normal as normal
from fx.nn.initializers import ones as ones
from fx.nn.initializers import zeros as zeros

Layer = tuple[Callable[..., Any], Callable[..., Any]]

_GLOROT, _NORMAL, _SMALL = glorot_normal(), normal(), normal(1e-6)

glorot, randn, logsoftmax = glorot_normal, normal, log_softmax


def Dense(out_dim: int, W_init: Any = _GLOROT, b_init: Any = _NORMAL) -> Layer:
    """A fully connected layer: inputs @ W + b.

    >>> import fx
    >>> init, apply = Dense(4)
    >>> shape, params = init(fx.random.key(0), (-1, 3))
    >>> shape, apply(params, fx.numpy.ones((2, 3))).shape
    ((-1, 4), (2, 4))
    """

    def init(rng: Any, input_shape: tuple[int, ...]) -> Any:
        w_key, b_key = random.split(rng)
        weights = W_init(w_key, (input_shape[-1], out_dim))
        return (*input_shape[:-1], out_dim), (weights, b_init(b_key, (out_dim,)))

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        weights, bias = params
        return fnp.dot(inputs, weights) + bias

    return init, apply


# ---------------------------------------------------------------- convolutions


def _convolution(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Any,
    W_init: Any,
    b_init: Any,
    shape_of: Callable[..., Any],
    apply_to: Callable[..., Any],
) -> Layer:
    """The layer whose output is `apply_to(inputs, W, strides) + b`, of the shape that `shape_of`
    says.
    """
    inputs_spec, weights_spec, out_spec = dimension_numbers
    strides = strides or (1,) * len(filter_shape)
    weights_init = W_init or glorot_normal(weights_spec.index("I"), weights_spec.index("O"))

    def init(rng: Any, input_shape: tuple[int, ...]) -> Any:
        sizes = {"O": out_chan, "I": input_shape[inputs_spec.index("C")]}
        spatial = iter(filter_shape)
        kernel = [sizes[c] if c in sizes else next(spatial) for c in weights_spec]
        bias = [out_chan if c == "C" else 1 for c in out_spec]
        w_key, b_key = random.split(rng)
        params = weights_init(w_key, kernel), b_init(b_key, bias)
        return shape_of(input_shape, kernel, strides), params

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        weights, bias = params
        return apply_to(inputs, weights, strides) + bias

    return init, apply


def GeneralConv(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Any = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = _SMALL,
) -> Layer:
    """A convolution of `out_chan` channels with a bias; dimension_numbers are the layouts of
    inputs, kernel and outputs, as ("NHWC", "HWIO", "NHWC"), which `Conv` has.

    >>> import fx
    >>> Conv(8, (3, 3), padding="SAME")[0](fx.random.key(0), (-1, 16, 16, 3))[0]
    (-1, 16, 16, 8)
    """

    def shape_of(inputs: Any, kernel: Any, strides: Any) -> Any:
        return lax.conv_general_shape_tuple(inputs, kernel, strides, padding, dimension_numbers)

    def apply_to(inputs: Any, weights: Any, strides: Any) -> Any:
        return lax.conv_general_dilated(
            inputs, weights, strides, padding, dimension_numbers=dimension_numbers
        )

    return _convolution(
        dimension_numbers, out_chan, filter_shape, strides, W_init, b_init, shape_of, apply_to
    )


def GeneralConvTranspose(
    dimension_numbers: Any,
    out_chan: int,
    filter_shape: Sequence[int],
    strides: Any = None,
    padding: Any = "VALID",
    W_init: Any = None,
    b_init: Any = _SMALL,
) -> Layer:
    """A transposed convolution with a bias; arguments as in `GeneralConv`. `ConvTranspose` has the
    layouts ("NHWC", "HWIO", "NHWC").
    """

    def shape_of(inputs: Any, kernel: Any, strides: Any) -> Any:
        return lax.conv_transpose_shape_tuple(inputs, kernel, strides, padding, dimension_numbers)

    def apply_to(inputs: Any, weights: Any, strides: Any) -> Any:
        return lax.conv_transpose(
            inputs, weights, strides, padding, dimension_numbers=dimension_numbers
        )

    return _convolution(
        dimension_numbers, out_chan, filter_shape, strides, W_init, b_init, shape_of, apply_to
    )


Conv = partial(GeneralConv, ("NHWC", "HWIO", "NHWC"))
Conv1DTranspose = partial(GeneralConvTranspose, ("NHC", "HIO", "NHC"))
ConvTranspose = partial(GeneralConvTranspose, ("NHWC", "HWIO", "NHWC"))


# ---------------------------------------------------------------- normalisation, elementwise


def BatchNorm(
    axis: Any = (0, 1, 2),
    epsilon: float = 1e-5,
    center: bool = True,
    scale: bool = True,
    beta_init: Any = zeros,
    gamma_init: Any = ones,
) -> Layer:
    """Standardise over `axis` with the statistics of this batch, then scale and shift; parameters
    (beta, gamma) of the other axes' shape, () for one that is left out.
    """
    axes = (axis,) if fnp.isscalar(axis) else tuple(axis)

    def init(rng: Any, input_shape: tuple[int, ...]) -> Any:
        shape = tuple(n for k, n in enumerate(input_shape) if k not in axes)
        beta_key, gamma_key = random.split(rng)
        beta = beta_init(beta_key, shape) if center else ()
        return input_shape, (beta, gamma_init(gamma_key, shape) if scale else ())

    def apply(params: Any, x: Any, **kwargs: Any) -> Any:
        beta, gamma = params
        spread = tuple(None if k in axes else slice(None) for k in range(fnp.ndim(x)))
        z = standardize(x, axes, epsilon=epsilon)
        z = gamma[spread] * z if scale else z
        return z + beta[spread] if center else z

    return init, apply


def elementwise(fun: Callable[..., Any], **fun_kwargs: Any) -> Layer:
    """A layer without parameters: fun(inputs, **fun_kwargs), of the inputs' shape."""
    return (lambda rng, input_shape: (input_shape, ())), (
        lambda params, inputs, **kwargs: fun(inputs, **fun_kwargs)
    )


Tanh = elementwise(fnp.tanh)
Relu = elementwise(relu)
Exp = elementwise(fnp.exp)
LogSoftmax = elementwise(log_softmax, axis=-1)
Softmax = elementwise(softmax, axis=-1)
Softplus = elementwise(softplus)
Sigmoid = elementwise(sigmoid)
Elu = elementwise(elu)
LeakyRelu = elementwise(leaky_relu)
Selu = elementwise(selu)
Gelu = elementwise(gelu)
Identity = elementwise(lambda inputs: inputs)
Flatten: Layer = (
    lambda rng, input_shape: ((input_shape[0], prod(input_shape[1:])), ()),
    lambda params, inputs, **kwargs: fnp.reshape(inputs, (inputs.shape[0], -1)),
)


# ---------------------------------------------------------------- pooling


def _pooling(reducer: Any, start: float, mean: bool = False) -> Callable[..., Layer]:
    def pooling_layer(
        window_shape: Sequence[int], strides: Any = None, padding: Any = "VALID", spec: Any = None
    ) -> Layer:
        """A pooling layer; `spec` gives the layout, "NHWC" where None."""
        outer = (0, len(window_shape) + 1) if spec is None else (spec.index("N"), spec.index("C"))
        window, steps = list(window_shape), list(strides or (1,) * len(window_shape))
        for k in sorted(outer):
            window.insert(k, 1)
            steps.insert(k, 1)

        def init(rng: Any, input_shape: tuple[int, ...]) -> Any:
            known = [max(n, 1) for n in input_shape]
            pads = lax.padtype_to_pads(known, window, steps, padding)
            one = (1,) * len(window)
            return lax.reduce_window_shape_tuple(input_shape, window, steps, pads, one, one), ()

        def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
            out = lax.reduce_window(inputs, start, reducer, tuple(window), tuple(steps), padding)
            if not mean:
                return out
            spatial = [1 if k in outer else n for k, n in enumerate(inputs.shape)]
            counted = fnp.ones(spatial, inputs.dtype)
            return out / lax.reduce_window(
                counted, 0.0, lax.add, tuple(window), tuple(steps), padding
            )

        return init, apply

    return pooling_layer


MaxPool = _pooling(lax.max, -fnp.inf)
SumPool = _pooling(lax.add, 0.0)
AvgPool = _pooling(lax.add, 0.0, mean=True)


# ---------------------------------------------------------------- fans and dropout


def FanOut(num: int) -> Layer:
    """Hands its input to `num` branches: a list of it, for `parallel`."""
    return (lambda rng, input_shape: ([input_shape] * num, ())), (
        lambda params, inputs, **kwargs: [inputs] * num
    )


FanInSum: Layer = (
    lambda rng, input_shape: (input_shape[0], ()),
    lambda params, inputs, **kwargs: sum(inputs),
)


def FanInConcat(axis: int = -1) -> Layer:
    """Joins the outputs of `parallel` along an axis; other axes must agree."""

    def init(rng: Any, input_shape: Any) -> Any:
        shape = list(input_shape[0])
        shape[axis] = sum(s[axis] for s in input_shape)
        return tuple(shape), ()

    return init, lambda params, inputs, **kwargs: fnp.concatenate(inputs, axis)


def Dropout(rate: float, mode: str = "train") -> Layer:
    """Keeps each entry with probability `rate`, divided by it, and makes the others 0; with another
    mode than "train" nothing. `apply` raises ValueError without rng=.
    """

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        rng = kwargs.get("rng")
        if rng is None:
            raise ValueError(
                "Dropout layer requires apply_fun to be called with a PRNG key argument. That is, "
                "instead of `apply_fun(params, inputs)`, call it like `apply_fun(params, inputs, "
                "rng=key)` where `key` comes from `fx.random.key`."
            )
        if mode != "train":
            return inputs
        keep = random.bernoulli(rng, rate, inputs.shape)
        return fnp.where(keep, inputs / rate, 0)

    return (lambda rng, input_shape: (input_shape, ())), apply


# ---------------------------------------------------------------- composition


def _keys(rng: Any, count: int) -> Any:
    return (None,) * count if rng is None else random.split(rng, count)


def serial(*layers: Layer) -> Layer:
    """The layers one after the other, as one layer; parameters are a list, one entry a layer.

    >>> import fx
    >>> init, apply = serial(Dense(8), Relu, Dense(2))
    >>> shape, params = init(fx.random.key(0), (-1, 3))
    >>> apply(params, fnp.ones((5, 3))).shape
    (5, 2)
    """

    def init(rng: Any, input_shape: Any) -> Any:
        params = []
        for layer_init, _ in layers:
            rng, key = random.split(rng)
            input_shape, param = layer_init(key, input_shape)
            params.append(param)
        return input_shape, params

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs.pop("rng", None), len(layers))
        for (_, layer_apply), param, key in zip(layers, params, keys):
            inputs = layer_apply(param, inputs, rng=key, **kwargs)
        return inputs

    return init, apply


def parallel(*layers: Layer) -> Layer:
    """The layers side by side: a sequence of inputs to a list of outputs."""

    def init(rng: Any, input_shape: Any) -> Any:
        keys = random.split(rng, len(layers))
        return zip(*(f(k, s) for (f, _), k, s in zip(layers, keys, input_shape)))

    def apply(params: Any, inputs: Any, **kwargs: Any) -> Any:
        keys = _keys(kwargs.pop("rng", None), len(layers))
        return [f(p, x, rng=k, **kwargs) for (_, f), p, x, k in zip(layers, params, inputs, keys)]

    return init, apply


def shape_dependent(make_layer: Callable[[Any], Layer]) -> Layer:
    """A layer that is made once the shape of its input is known: make_layer(shape)."""
    return (lambda rng, input_shape: make_layer(input_shape)[0](rng, input_shape)), (
        lambda params, inputs, **kwargs: make_layer(inputs.shape)[1](params, inputs, **kwargs)
    )
