"""Library functions on concrete arrays: recorded once a signature, then replayed as NumPy calls.

What a library function does depends on shapes, dtypes and Python values, and leads to a handful of
primitives. Outside traces the third call of a signature is recorded as a jaxpr; from then on its
equations' NumPy rules run in a row (fx.numpy.replay), without promotion, avals and Arrays in
between. What cannot be recorded, or needs values, keeps the ordinary path.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from math import copysign
from types import FunctionType
from typing import Any

import numpy as np

from fx import core
from fx.array import Array
from fx.config import config
from fx.jaxpr import ClosedJaxpr
from fx.numpy import fast
from fx.numpy.large import with_kernel
from fx.numpy.replay import written
from fx.tree_util import tree_flatten

FIRST = 3
"""The call of a signature that records: numbers that differ from call to call are no signature."""

_LIMIT = 1024  # signatures a function may have before it begins anew
_EXACT = frozenset((int, bool, str, type(None), type(Ellipsis), type))
_made: dict[Any, Any] = {}  # function -> its recorded form


def recorded(function: Callable[..., Any], scalars: bool = True) -> Any:
    """The function, quick on concrete arrays. `scalars` False: 0-d arrays are values to it, which
    decide what it computes.
    """
    found = _made.get(function)
    if found is not None:
        return found
    programs: dict[Any, Any] = {}  # signature -> how often it was seen, a program, or None

    state, evaluates, token, settings = core.state, core.EVAL, config.token, config.__dict__

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if state.trace is not evaluates or core.checker is not None:
            return function(*args, **kwargs)
        now = settings["_token"]
        if now is None or settings["_overriding"]:
            now = token()
        leaves: Any = args
        if not kwargs and len(args) == 1 and type(args[0]) is Array:
            key: Any = (now, args[0]._known or args[0].aval)
        elif not kwargs and len(args) == 2 and type(args[0]) is Array is type(args[1]):
            x, y = args
            key = (now, x._known or x.aval, y._known or y.aval)
        else:
            leaves, signature = [], [now]
            if not read(args, leaves, signature) or (
                kwargs and not _named(kwargs, leaves, signature)
            ):
                return function(*args, **kwargs)
            key = tuple(signature)
        program = programs.get(key, 0)
        if type(program) is FunctionType:
            return program(*leaves)
        if program is None:
            return function(*args, **kwargs)
        program = _next(function, args, kwargs, leaves, program, scalars)
        if len(programs) >= _LIMIT:
            programs.clear()
        programs[key] = program
        return program(*leaves) if callable(program) else function(*args, **kwargs)

    _made[function] = call
    call.programs = programs  # type: ignore[attr-defined]
    return call


def form_of(function: Any) -> Any:
    """The function's recorded form, the function itself where it has none."""
    return _made.get(function, function)


def _next(
    function: Any, args: Any, kwargs: Any, leaves: list[Any], seen: int, scalars: bool
) -> Any:
    """A signature was met again: the count, a program, or None for never."""
    if seen + 1 < FIRST:
        return seen + 1
    if not scalars and any(not x.shape for x in leaves):
        return None
    return record(function, args, kwargs, leaves)


# ---------------------------------------------------------------- signatures


def read(values: Sequence[Any], leaves: list[Any], signature: list[Any]) -> bool:
    """Append the arrays among `values`, and what else the result depends on; False for values that
    no signature can hold.
    """
    for x in values:
        kind = type(x)
        if kind is Array:
            leaves.append(x)
            signature.append(x._known or x.aval)
        elif kind in _EXACT:
            signature += (kind, x)
        elif kind is float:
            if x != x or (x == 0.0 and copysign(1.0, x) < 0):
                return False  # a NaN is not itself, -0.0 equals 0.0
            signature += (kind, x)
        elif kind is tuple or kind is list:
            signature += (kind, len(x))
            if not read(x, leaves, signature):
                return False
        elif kind is slice:
            signature.append(kind)
            if not read((x.start, x.stop, x.step), leaves, signature):
                return False
        elif isinstance(x, (np.dtype, type)):
            signature += (np.dtype, x)
        else:
            return False
    return True


def _named(kwargs: dict[str, Any], leaves: list[Any], signature: list[Any]) -> bool:
    signature.append(tuple(kwargs))
    return read(kwargs.values(), leaves, signature)  # type: ignore[arg-type]


def _with(x: Any, leaves: Iterator[Any]) -> Any:
    """The argument with its arrays replaced, in the order of `read`."""
    kind = type(x)
    if kind is Array:
        return next(leaves)
    if kind is tuple or kind is list:
        return kind([_with(v, leaves) for v in x])
    if kind is slice:
        return slice(*[_with(v, leaves) for v in (x.start, x.stop, x.step)])
    return x


# ---------------------------------------------------------------- recording


def record(function: Any, args: Any, kwargs: Any, leaves: list[Any]) -> Any:
    """The function's equations for arguments like these, written out (fx.numpy.replay); None where
    there are none to be had: it needs values, gives something else than arrays, warns, or has
    effects.
    """
    tree: Any = None

    def flat(*tracers: Any) -> list[Any]:
        nonlocal tree
        given = iter(tracers)
        new_args = [_with(x, given) for x in args]
        out = function(*new_args, **{k: _with(v, given) for k, v in kwargs.items()})
        values, tree = tree_flatten(out)
        if not all(type(v) is Array or isinstance(v, core.Tracer) for v in values):
            raise TypeError("a result is no array")
        return values

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            jaxpr, consts = core.trace_to_jaxpr(flat, [x.aval for x in leaves])
        closed = ClosedJaxpr(jaxpr, consts)
        return with_kernel(closed, tree, written(closed, tree))
    except Exception:  # the ordinary path raises it again, where it is one of the user's
        return None


# ---------------------------------------------------------------- which functions

_NAMES = """
    abs absolute acos acosh add all allclose amax amin angle any append arccos arccosh arcsin
    arcsinh arctan arctan2 arctanh argmax argmin argsort around array_equal asin asinh astype
    atan atan2 atanh atleast_1d atleast_2d atleast_3d average bitwise_and bitwise_not bitwise_or
    bitwise_xor broadcast_to cbrt ceil choose clip column_stack compress concat concatenate conj
    conjugate convolve copysign corrcoef cos cosh count_nonzero cov cross cumprod cumsum
    cumulative_prod cumulative_sum deg2rad degrees diag diagonal diff digitize divide divmod dot
    dstack ediff1d einsum equal exp exp2 expand_dims expm1 fabs flip fliplr flipud floor
    floor_divide fmax fmin fmod full_like gcd geomspace gradient greater greater_equal heaviside
    hstack hypot i0 imag inner interp invert isclose isfinite isin isinf isnan isneginf isposinf
    kron lcm left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2 logical_and
    logical_not logical_or logical_xor logspace matmul matrix_transpose matvec max maximum mean
    median meshgrid min minimum mod moveaxis multiply nan_to_num nanargmax nanargmin nancumsum
    nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum nanvar
    negative not_equal ones_like outer packbits pad percentile permute_dims polyadd polyder
    polyint polymul polysub polyval positive prod ptp quantile rad2deg radians ravel real
    reciprocal remainder reshape right_shift rint rollaxis rot90 round searchsorted select sign
    signbit sin sinc sinh sort split sqrt square squeeze stack std subtract sum swapaxes take
    take_along_axis tan tanh tensordot tile trace transpose trapezoid tri tril triu true_divide
    trunc unpackbits unstack unwrap vander var vdot vecdot vecmat vstack where zeros_like
""".split()  # noqa: SIM905 (a list literal takes two hundred lines)
_MADE = ["arange", "empty", "eye", "full", "identity", "linspace", "ones", "zeros"]
_VALUES = ("float_power", "pow", "power", "roll")  # 0-d arrays decide what these compute


def install(namespace: dict[str, Any]) -> None:
    """Put the recorded forms in the place of the functions of fx.numpy."""
    replace(namespace, [*_NAMES, *_MADE])
    replace(namespace, _VALUES, scalars=False)


def replace(namespace: dict[str, Any], names: Sequence[str], scalars: bool = True) -> None:
    """Put recorded forms in the place of a module's functions (and of ufuncs' calls)."""
    for name in names:
        found = namespace[name]
        if hasattr(found, "_call"):
            found._call = _quick(name, recorded(found._call, scalars))
        else:
            namespace[name] = _quick(name, recorded(found, scalars))


def _quick(name: str, call: Any) -> Any:
    """Where fx.numpy.fast has the operation: that first."""
    alone = fast.UNARY.get(name)
    if alone is not None:

        @wraps(call)
        def quick_alone(x: Any, /) -> Any:
            if type(x) is Array:
                out = alone(x)
                if out is not fast.MISS:
                    return out
            return call(x)

        return quick_alone
    entry = fast.FUNCTIONS.get(name)
    if entry is None:
        return call
    operation, dtypes, compares = entry
    first = fast.binary(operation, dtypes, compares, reverse=False)

    @wraps(call)
    def quick(x: Any, y: Any, /) -> Any:
        if type(x) is Array:
            out = first(x, y)
            if out is not fast.MISS:
                return out
        return call(x, y)

    return quick
