"""NumPy's ufunc object: a callable with reduce, accumulate, at, outer and reduceat; and vectorize,
frompyfunc.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from fx import core, lax
from fx.numpy import cumulative, reductions
from fx.numpy import ufuncs as u
from fx.numpy import ufuncs_more as more
from fx.numpy.creation import asarray
from fx.numpy.manipulation import moveaxis
from fx.numpy.selection import where as where_
from fx.numpy.ufunc_base import no_out
from fx.numpy.util import broadcast_value, canonical_axes, canonical_axis, check_arraylike, convert
from fx.trace import eval_shape

__all__ = ["frompyfunc", "ufunc", "vectorize"]


class ufunc:
    """A function of arrays, element by element, with NumPy's reduce, accumulate, at, outer and
    reduceat. NotImplementedError for out= and where=, TypeError for another number of arguments.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        /,
        nin: int,
        nout: int,
        *,
        name: str | None = None,
        nargs: int | None = None,
        identity: Any = None,
        call: Callable[..., Any] | None = None,
        reduce: Callable[..., Any] | None = None,
        accumulate: Callable[..., Any] | None = None,
        at: Callable[..., Any] | None = None,
        reduceat: Callable[..., Any] | None = None,
    ):
        self.__doc__ = func.__doc__
        self.__name__ = name or func.__name__
        self.__qualname__ = self.__name__
        self.__module__ = "fx.numpy"
        self.nin, self.nout, self.identity = nin, nout, identity
        self.nargs = nin if nargs is None else nargs
        self._call = call or func
        self._reduce, self._accumulate, self._at = reduce, accumulate, at

    def __repr__(self) -> str:
        return f"<fx.numpy.ufunc '{self.__name__}'>"

    def __hash__(self) -> int:
        return hash((self._call, self.__name__, self.nin, self.nout))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ufunc) and (self._call, self.__name__) == (
            other._call,
            other.__name__,
        )

    def __call__(self, *args: Any, out: None = None, where: None = None) -> Any:
        """The function's value."""
        if out is None and where is None and len(args) == self.nin:
            return self._call(*args)
        no_out(self.__name__, out)
        if where is not None:
            raise NotImplementedError(f"where argument of {self!r}")
        raise TypeError(
            f"{self.__name__}() takes {self.nin} positional arguments but {len(args)} were given"
        )

    def _check_binary(self, method: str) -> None:
        if self.nin != 2:
            raise ValueError(f"{method} only supported for binary ufuncs")
        if self.nout != 1:
            raise ValueError(f"{method} only supported for functions returning a single value")

    def reduce(
        self,
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        """Fold along axes (None: all), which go unless keepdims, from `initial` or the identity.
        The fold is the function's own reduction (sum for add), else a loop, in the dtype of `a` or
        `dtype`. ValueError of nothing and for `where` if there is neither, and unless the function
        takes two arguments.
        """
        self._check_binary("reduce")
        no_out(f"{self.__name__}.reduce", out)
        check_arraylike(f"{self.__name__}.reduce", a)
        if where is not None and self.identity is None and initial is None:
            raise ValueError(
                f"reduction operation '{self.__name__}' does not have an identity, so to use a "
                "where mask one has to "
                "specify 'initial'."
            )
        if self._reduce is not None:
            return self._reduce(
                a, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where
            )
        return self._fold(asarray(a), axis, dtype, keepdims, initial, where)

    def _begun(self, x: Any, dtype: Any) -> Any:
        """x in the dtype of folds: `dtype`, or what the function makes of two such elements: of
        integers logaddexp makes floats, logical_and booleans. Other booleans say how elements
        compare, and cannot be compared with the next.
        """
        if dtype is not None:
            return x.astype(dtype)
        made = eval_shape(self._call, x, x).dtype
        compares = made == np.bool_ and not self.__name__.startswith("logical")
        return x if compares or made == x.dtype else x.astype(made)

    def _fold(self, x: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any, where: Any) -> Any:
        shape = x.shape
        axes = canonical_axes(axis, x.ndim)
        x = self._begun(x, dtype)
        if where is not None:
            x = where_(where, x, self.identity if initial is None else initial)
        kept = tuple(k for k in range(x.ndim) if k not in axes)
        x = lax.transpose(x, (*axes, *kept))
        n = int(np.prod([shape[k] for k in axes], dtype=np.int64))
        x = lax.reshape(x, (n, *(shape[k] for k in kept)))
        first = initial if initial is not None else self.identity
        if first is None:
            if n == 0:
                raise ValueError(
                    f"zero-size array to reduction operation {self.__name__} which has no identity"
                )
            start, x = x[0], x[1:]
        else:
            start = broadcast_value(convert(first, x.dtype), x.shape[1:])
        out = lax.scan(
            lambda c, v: (convert(self._call(c, v), start.dtype), None), asarray(start), x
        )[0]
        return lax.expand_dims(out, tuple(sorted(axes))) if keepdims else out

    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        """All partial folds along an axis, in the shape of `a`. ValueError unless the function
        takes two arguments, NotImplementedError for axis=None where it has no running form of its
        own (as cumsum is of add).
        """
        self._check_binary("accumulate")
        no_out(f"{self.__name__}.accumulate", out)
        x = asarray(a)
        if self._accumulate is not None:
            return self._accumulate(x, axis=axis, dtype=dtype)
        if axis is None:
            raise NotImplementedError(
                "accumulate with axis=None; a one-dimensional array has axis=0"
            )
        k = canonical_axis(axis, x.ndim)
        x = moveaxis(self._begun(x, dtype), k, 0)
        if x.shape[0] == 0:
            return moveaxis(x, 0, k)

        def step(c: Any, v: Any) -> Any:
            y = convert(self._call(c, v), x.dtype)
            return y, y

        _, rest = lax.scan(step, x[0], x[1:])
        return moveaxis(lax.concatenate([x[:1], rest], 0), 0, k)

    def at(self, a: Any, indices: Any, b: Any = None, *, inplace: bool = True) -> Any:
        """A copy of a with the function applied at indices, repeated ones in turn; shape and dtype
        of a. NotImplementedError unless inplace=False.
        """
        if inplace:
            raise NotImplementedError(
                f"{self!r}.at cannot modify arrays in place: pass inplace=False."
            )
        x = asarray(a)
        if self._at is not None:
            return self._at(x, indices, b)
        if self.nin == 1:
            return x.at[indices].apply(self._call)
        return self._at_in_turn(x, indices, asarray(b))

    def _at_in_turn(self, x: Any, indices: Any, b: Any) -> Any:
        index = indices if isinstance(indices, tuple) else (indices,)
        shape = x[index].shape
        index = tuple(broadcast_value(asarray(i), shape).ravel() for i in index)
        values = broadcast_value(b, shape).ravel()

        def step(c: Any, item: Any) -> Any:
            where, v = item
            return c.at[where].set(convert(self._call(c[where], v), c.dtype)), None

        return lax.scan(step, x, (index, values))[0]

    def outer(self, A: Any, B: Any, /) -> Any:
        """The function of all pairs: shape A.shape + B.shape. ValueError unless it takes two
        arguments.
        """
        if self.nin != 2:
            raise ValueError("outer only supported for binary ufuncs")
        a, b = asarray(A), asarray(B)
        return self._call(lax.reshape(a, (*a.shape, *(1,) * b.ndim)), b)

    def reduceat(
        self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None
    ) -> Any:
        """Folds along an axis of the slices from each index to the next, the last to the end: as
        many as indices; where indices fall, single elements. ValueError unless the function takes
        two arguments.
        """
        self._check_binary("reduceat")
        no_out(f"{self.__name__}.reduceat", out)
        x, index = asarray(a), asarray(indices)
        if not hasattr(axis, "__index__"):
            raise ValueError("reduceat requires integer axis")
        k = canonical_axis(axis, x.ndim)
        x = moveaxis(self._begun(x, dtype), k, 0)
        n = x.shape[0]
        ends = lax.concatenate([index[1:], lax.full((1,), n, index.dtype)], 0)
        ends = where_(ends > index, ends, index + 1)
        start = x[index]

        def step(c: Any, item: Any) -> Any:
            position, row = item
            inside = (position > index) & (position < ends)
            inside = lax.reshape(inside, (*inside.shape, *(1,) * row.ndim))
            return where_(inside, convert(self._call(c, row), c.dtype), c), None

        out_value = lax.scan(step, start, (lax.iota(index.dtype, n), x))[0]
        return moveaxis(out_value, 0, k)


def _at_method(name: str) -> Any:
    return lambda x, indices, b: getattr(x.at[indices], name)(b)


def _logical_reduce(fold: Any) -> Any:
    def reduce(a: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any, where: Any) -> Any:
        out = fold(a, axis=axis, keepdims=keepdims, where=where)
        if initial is not None:
            out = (out & bool(initial)) if fold is reductions.all else (out | bool(initial))
        return out

    return reduce


def _arithmetic(fold: Any) -> Any:
    def reduce(a: Any, axis: Any, dtype: Any, keepdims: bool, initial: Any, where: Any) -> Any:
        kw = {"dtype": dtype} if fold in (reductions.sum, reductions.prod) else {}
        return fold(a, axis=axis, keepdims=keepdims, initial=initial, where=where, **kw)

    return reduce


def _subtract_at(x: Any, indices: Any, b: Any) -> Any:
    return x.at[indices].add(-b)


UFUNCS = {
    "add": ufunc(
        u.add,
        2,
        1,
        identity=0,
        reduce=_arithmetic(reductions.sum),
        accumulate=cumulative.cumsum,
        at=_at_method("add"),
    ),
    "multiply": ufunc(
        u.multiply,
        2,
        1,
        identity=1,
        reduce=_arithmetic(reductions.prod),
        accumulate=cumulative.cumprod,
        at=_at_method("multiply"),
    ),
    "subtract": ufunc(u.subtract, 2, 1, at=_subtract_at),
    "negative": ufunc(u.negative, 1, 1),
    "maximum": ufunc(u.maximum, 2, 1, reduce=_arithmetic(reductions.max), at=_at_method("max")),
    "minimum": ufunc(u.minimum, 2, 1, reduce=_arithmetic(reductions.min), at=_at_method("min")),
    "logical_and": ufunc(
        u.logical_and, 2, 1, identity=True, reduce=_logical_reduce(reductions.all)
    ),
    "logical_or": ufunc(u.logical_or, 2, 1, identity=False, reduce=_logical_reduce(reductions.any)),
    "logical_xor": ufunc(u.logical_xor, 2, 1, identity=False),
    "bitwise_and": ufunc(u.bitwise_and, 2, 1, identity=-1),
    "bitwise_or": ufunc(u.bitwise_or, 2, 1, identity=0),
    "bitwise_xor": ufunc(u.bitwise_xor, 2, 1, identity=0),
    "logaddexp": ufunc(more.logaddexp, 2, 1, identity=-np.inf),
    "logaddexp2": ufunc(more.logaddexp2, 2, 1, identity=-np.inf),
}


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> ufunc:
    """A ufunc from a function of scalars, mapped by vmap; `identity` is where reduce begins."""
    return ufunc(func, nin, nout, identity=identity, call=vectorize(func))


# ---------------------------------------------------------------- vectorize

_DIM = r"\w+"
_ARGUMENT = rf"\((?:{_DIM}(?:,{_DIM})*)?\)"
_SIGNATURE = re.compile(rf"^{_ARGUMENT}(?:,{_ARGUMENT})*->{_ARGUMENT}(?:,{_ARGUMENT})*$")


def _parse_signature(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    text = signature.replace(" ", "")
    if not _SIGNATURE.match(text):
        raise ValueError(f"not a valid gufunc signature: {signature}")

    def side(s: str) -> list[tuple[str, ...]]:
        return [tuple(n for n in arg.split(",") if n) for arg in re.findall(r"\(([^)]*)\)", s)]

    left, right = text.split("->")
    return side(left), side(right)


def vectorize(
    pyfunc: Callable[..., Any],
    *,
    excluded: Collection[Any] = frozenset(),
    signature: str | None = None,
) -> Callable[..., Any]:
    """A function of core arrays (scalars without a signature) mapped by vmap over all leading axes,
    which broadcast. The signature names core axes, "(n,k),(k)->(n)": ValueError where shapes do not
    fit it, TypeError for another number of arguments. `excluded` are positions and names passed on
    as they are.

    >>> import fx.numpy as fnp
    >>> fnp.vectorize(fnp.dot, signature="(n),(n)->()")(fnp.ones((4, 3)), fnp.ones(3)).shape
    (4,)
    """
    if any(not isinstance(e, (str, int)) for e in excluded):
        raise TypeError(
            "fx.numpy.vectorize can only exclude integer or string arguments, but excluded="
            f"{set(excluded)!r}"
        )
    if any(isinstance(e, int) and e < 0 for e in excluded):
        raise ValueError(f"excluded={set(excluded)!r} contains negative numbers")
    import functools

    @functools.wraps(pyfunc)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        fixed = {k: a for k, a in enumerate(args) if k in excluded or a is None}
        named = {k: v for k, v in kwargs.items() if k in excluded}
        mapped_names = [k for k in kwargs if k not in excluded]
        positions = [k for k in range(len(args)) if k not in fixed]
        mapped = [args[k] for k in positions] + [kwargs[k] for k in mapped_names]
        check_arraylike(f"vectorize({getattr(pyfunc, '__name__', 'f')})", *mapped)
        mapped = [asarray(a) for a in mapped]
        total = len(args)

        def call(*values: Any) -> Any:
            full: list[Any] = [None] * total
            for k, a in fixed.items():
                full[k] = a
            for k, v in zip(positions, values):
                full[k] = v
            extra = dict(zip(mapped_names, values[len(positions) :]))
            return pyfunc(*full, **named, **extra)

        return _vectorized(call, mapped, signature, wrapped)

    return wrapped


def _vectorized(call: Callable[..., Any], args: list[Any], signature: str | None, name: Any) -> Any:
    if signature is None:
        ins: list[tuple[str, ...]] = [()] * len(args)
        outs = None
    else:
        ins, outs = _parse_signature(signature)
        if len(ins) != len(args):
            raise TypeError(
                f"wrong number of positional arguments: expected {len(ins)}, got {len(args)}"
            )
    sizes: dict[str, int] = {}
    leads = []
    for a, dims in zip(args, ins):
        n = len(dims)
        if a.ndim < n:
            raise ValueError(
                f"input with shape {a.shape} does not have enough dimensions for all core "
                f"dimensions {dims}"
            )
        for d, s in zip(dims, a.shape[a.ndim - n :]):
            want = sizes.setdefault(d, s)
            if want != s:
                raise ValueError(f"inconsistent size for core dimension {d!r}: {s} vs {want}")
        leads.append(a.shape[: a.ndim - n])
    lead = tuple(np.broadcast_shapes(*leads)) if leads else ()

    def checked(*values: Any) -> Any:
        out = call(*values)
        _check_outputs(out, outs, sizes)
        return out

    import fx

    f: Callable[..., Any] = checked
    squeezed = []
    for a, own in zip(args, leads):
        axes = tuple(k for k, s in enumerate(own) if s == 1 and lead[len(lead) - len(own) + k] != 1)
        squeezed.append(lax.squeeze(a, axes) if axes else a)
    for depth in range(len(lead)):
        k = len(lead) - 1 - depth
        mapped = [
            len(own) > depth and not (own[len(own) - 1 - depth] == 1 and lead[k] != 1)
            for own in leads
        ]
        f = fx.vmap(f, in_axes=tuple(0 if flag else None for flag in mapped))
    return f(*squeezed)


def _check_outputs(out: Any, outs: Any, sizes: dict[str, int]) -> None:
    if outs is None:
        return
    many = out if isinstance(out, (tuple, list)) else (out,)
    if len(outs) > 1 and not isinstance(out, (tuple, list)):
        raise TypeError(f"wrong number of outputs from pyfunc: expected {len(outs)} outputs, got 1")
    if len(many) != len(outs):
        raise TypeError(
            f"wrong number of outputs from pyfunc: expected {len(outs)}, got {len(many)}"
        )
    for o, dims in zip(many, outs):
        shape = np.shape(o) if not isinstance(o, core.Tracer) else o.shape
        if len(shape) != len(dims):
            raise ValueError(f"output shape {shape} does not match core dimensions {dims}")
        for d, s in zip(dims, shape):
            want = sizes.setdefault(d, s)
            if want != s:
                raise ValueError(f"inconsistent size for core dimension {d!r}: {s} vs {want}")
