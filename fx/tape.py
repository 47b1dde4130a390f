"""The object-oriented layer: variables that record what is done to them, a tape that
differentiates, dual numbers.

A variable holds its value and the operation that made it. A gradient replays the operations
between sources and target as a function and calls vjp on it; the result is a variable again, so
gradients of gradients need nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from functools import update_wrapper
from typing import Any

from fx import lax, losses, nn
from fx import numpy as fnp
from fx.grad import vjp
from fx.jvp import jvp

__all__ = ["Dual", "Tape", "Variable", "no_grad"]


_recording: ContextVar[bool] = ContextVar("recording", default=True)


class no_grad(AbstractContextManager[None]):
    """`no_grad(fun)` is `fun` as a constant to differentiation; `with no_grad():` is a block in
    which variables do not record what is done to them.

    The function form stops the gradients of arguments and results, under any transformation. The
    block form is for the object-oriented layer only; it nests, belongs to its thread, and ends with
    errors too.

    >>> fx.grad(lambda x: no_grad(fx.numpy.sin)(x) + x)(0.0).item()
    1.0
    >>> x = Variable(2.0)
    >>> with no_grad():
    ...     y = x * x
    >>> y.inputs
    ()
    """

    def __init__(self, fun: Callable[..., Any] | None = None):
        self.fun = fun
        self.tokens: list[Token[bool]] = []
        if fun is not None:
            update_wrapper(self, fun, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fun is None:
            raise TypeError("no_grad() is a block; give it a function to make a constant of")
        stop = lax.stop_gradient
        with no_grad():
            return stop(self.fun(*stop(args), **stop(kwargs)))

    def __enter__(self) -> None:
        self.tokens.append(_recording.set(False))

    def __exit__(self, *exc: Any) -> None:
        _recording.reset(self.tokens.pop())


class Variable:
    """A value and the operation that made it from other variables."""

    def __init__(
        self, value: Any, function: Callable[..., Any] | None = None, inputs: Sequence[Any] = ()
    ):
        self.value = fnp.asarray(value)
        self.function = function
        self.inputs = tuple(inputs)
        self.grad: Any = None

    shape = property(lambda self: self.value.shape, doc="The value's shape.")
    dtype = property(lambda self: self.value.dtype, doc="The value's dtype.")

    def detach(self) -> Variable:
        """The same value without its history, a new leaf."""
        return Variable(self.value)

    def zero_grad(self) -> None:
        """Forget the accumulated gradient: `.grad` is None."""
        self.grad = None

    def backward(self, seed: Any = None) -> None:
        """Add the gradient of this (scalar) variable to `.grad` of every leaf it came from."""
        if self.value.size != 1 and seed is None:
            raise ValueError(f"backward needs a scalar or a seed; the shape is {self.value.shape}")
        leaves = [v for v in _history(self) if v.function is None]
        for leaf, g in zip(leaves, gradient(self, leaves, seed)):
            g = g.value
            leaf.grad = g if leaf.grad is None else leaf.grad + g

    def numpy(self) -> Any:
        """The value as a NumPy array, on the host."""
        import numpy as np

        return np.asarray(self.value)

    def tolist(self) -> Any:
        """The value as (nested lists of) Python numbers."""
        return self.value.tolist()

    def __getattr__(self, name: str) -> Any:
        for space in (nn, fnp, losses):
            found = getattr(space, name, None)
            if callable(found):
                return lambda *args, **kwargs: apply(found, self, *args, **kwargs)
        raise AttributeError(f"Variable has no attribute {name!r}")

    def __getitem__(self, index: Any) -> Variable:
        return apply(lambda x: x[index], self)

    def __repr__(self) -> str:
        return f"Variable({self.value!r})"


def _binary(op: Callable[[Any, Any], Any], swap: bool = False) -> Any:
    def method(self: Variable, other: Any) -> Variable:
        return apply(op, other, self) if swap else apply(op, self, other)

    return method


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": fnp.add,
    "sub": fnp.subtract,
    "mul": fnp.multiply,
    "truediv": fnp.divide,
    "pow": fnp.power,
    "matmul": fnp.matmul,
}
for _name, _op in _OPERATORS.items():
    setattr(Variable, f"__{_name}__", _binary(_op))
    setattr(Variable, f"__r{_name}__", _binary(_op, True))
Variable.__neg__ = lambda self: apply(fnp.negative, self)  # type: ignore[attr-defined]
Variable.sub = _binary(fnp.subtract)  # type: ignore[attr-defined]
Variable.mul = _binary(fnp.multiply)  # type: ignore[attr-defined]
Variable.div = _binary(fnp.divide)  # type: ignore[attr-defined]


def apply(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Variable:
    """function(*args) with variables among the arguments, recorded."""
    places = [k for k, a in enumerate(args) if isinstance(a, Variable)]

    def call(*values: Any) -> Any:
        full = list(args)
        for k, v in zip(places, values):
            full[k] = v
        return function(*full, **kwargs)

    inputs = [args[k] for k in places]
    value = call(*[v.value for v in inputs])
    return Variable(value, call, inputs) if _recording.get() else Variable(value)


def _history(target: Variable) -> list[Variable]:
    """Everything the target came from, inputs before results; no recursion, so that length does
    not matter.
    """
    order: list[Variable] = []
    seen: set[int] = set()
    todo: list[tuple[Variable, bool]] = [(target, False)]
    while todo:
        v, done = todo.pop()
        if done:
            order.append(v)
        elif id(v) not in seen:
            seen.add(id(v))
            todo.append((v, True))
            todo.extend((i, False) for i in v.inputs)
    return order


def gradient(target: Variable, sources: Sequence[Variable], seed: Any = None) -> list[Variable]:
    """The gradients of `target` by each source, as variables that can be differentiated again.

    A target that is no scalar is seeded with ones; a source it does not depend on gives zeros.
    """
    order = _history(target)
    leaves = [v for v in order if v.function is None and not any(v is s for s in sources)]

    def replay(values: Sequence[Any], constants: Sequence[Any]) -> Any:
        env = {id(v): x for v, x in zip((*leaves, *sources), (*constants, *values))}
        for v in order:
            if id(v) not in env:
                env[id(v)] = v.function(*[env[id(i)] for i in v.inputs])  # type: ignore[misc]
        return env[id(target)]

    n = len(sources)

    def derivative(k: int) -> Callable[..., Any]:
        def g(*values: Any) -> Any:
            out, pull = vjp(lambda xs: replay(xs, values[n:]), tuple(values[:n]))
            return pull(fnp.ones_like(out) if seed is None else fnp.asarray(seed))[0][k]

        return g

    inputs = (*sources, *leaves)
    values = [v.value for v in inputs]
    return [Variable(derivative(k)(*values), derivative(k), inputs) for k in range(n)]


class Tape:
    """Makes variables and differentiates what was computed from them.

    >>> tape = Tape()
    >>> x = tape.variable([2.0, 3.0])
    >>> tape.gradient((x * x).sum(), [x])[0].tolist()
    [4.0, 6.0]
    """

    def __init__(self) -> None:
        self.used = False
        self.keeps = False

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *exc: Any) -> None:
        return None

    def persistent(self) -> Tape:
        """Allow more than one call of gradient; returns the tape."""
        self.keeps = True
        return self

    def variable(self, value: Any) -> Variable:
        """A leaf variable that holds a copy of the value."""
        return Variable(fnp.array(value))

    def gradient(self, target: Variable, sources: Any, allow_unused: bool = False) -> Any:
        """The gradients by the sources (one or several); consumes the tape unless it is
        persistent. A source without influence has gradient zero, or None with `allow_unused`.
        """
        if self.used and not self.keeps:
            raise RuntimeError(
                "the tape was used up by gradient(); call persistent() first to keep it"
            )
        self.used = True
        return self.gradient_persistent(target, sources, allow_unused)

    def gradient_persistent(
        self, target: Variable, sources: Any, allow_unused: bool = False
    ) -> Any:
        """As `gradient`, and the tape stays for further calls."""
        one = isinstance(sources, Variable)
        wanted = [sources] if one else list(sources)
        found: list[Any] = list(gradient(target, wanted))
        if allow_unused:
            used = {id(v) for v in _history(target)}
            found = [g if id(v) in used else None for g, v in zip(found, wanted)]
        return found[0] if one else found

    def custom_op(self, op: Any, inputs: Sequence[Variable]) -> Variable:
        """An operation with forward(inputs) and backward(grad_output, inputs)."""
        from fx.custom import custom_vjp

        @custom_vjp
        def call(*values: Any) -> Any:
            return op.forward(list(values))

        call.defvjp(
            lambda *values: (op.forward(list(values)), values),
            lambda values, ct: tuple(op.backward(ct, list(values))),
        )
        return apply(call, *inputs)


class Dual:
    """A value with a tangent; functions of fx.numpy, fx.nn and fx.losses are its methods.

    >>> x = Dual(2.0, 1.0)
    >>> y = x.sin() * x + 1
    >>> round(y.value.item(), 6), round(y.tangent.item(), 6)
    (2.818595, 0.077004)
    """

    def __init__(self, value: Any, tangent: Any):
        self.value, self.tangent = fnp.asarray(value), fnp.asarray(tangent)

    def apply(self, function: Callable[..., Any], *others: Any, **kwargs: Any) -> Dual:
        """function(self, *others); others may be duals or constants."""
        return _push(function, (self, *others), kwargs)

    def __getattr__(self, name: str) -> Any:
        for space in (nn, fnp, losses):
            found = getattr(space, name, None)
            if callable(found):
                return lambda *others, **kwargs: self.apply(found, *others, **kwargs)
        raise AttributeError(f"Dual has no attribute {name!r}")

    def __getitem__(self, index: Any) -> Dual:
        return self.apply(lambda x: x[index])

    def __repr__(self) -> str:
        return f"Dual({self.value!r}, {self.tangent!r})"


def _push(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Dual:
    """jvp of a function by those arguments that are duals."""
    places = [k for k, a in enumerate(args) if isinstance(a, Dual)]

    def of_duals(*values: Any) -> Any:
        full = list(args)
        for k, v in zip(places, values):
            full[k] = v
        return function(*full, **kwargs)

    duals = [args[k] for k in places]
    tangents = tuple(d.tangent.astype(d.value.dtype) for d in duals)
    return Dual(*jvp(of_duals, tuple(d.value for d in duals), tangents))


def _dual_binary(op: Callable[[Any, Any], Any], swap: bool = False) -> Any:
    def method(self: Dual, other: Any) -> Dual:
        return _push(op, (other, self) if swap else (self, other), {})

    return method


for _name, _op in _OPERATORS.items():
    setattr(Dual, f"__{_name}__", _dual_binary(_op))
    setattr(Dual, f"__r{_name}__", _dual_binary(_op, True))
Dual.__neg__ = lambda self: self.apply(fnp.negative)  # type: ignore[attr-defined]
