"""`fx.explain(f)(*args)`: what a jitted call does, as a text one can also ask for its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """What one call of a compiled function does; its text has a line for each kernel.

    launches: kernels enqueued. flops: arithmetic operations. nbytes: of arguments and results.
    reasons: (what, why) for every edge between operations that was not fused.
    """

    name: str
    launches: int
    flops: float
    nbytes: float
    reasons: tuple[tuple[str, str], ...]
    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def explain(fun: Callable[..., Any]) -> Callable[..., Explanation]:
    """A function that takes fun's arguments, compiles, and says what a call does; it runs nothing.

    >>> import fx
    >>> print(explain(lambda x: fx.numpy.exp(x) + 1)(fx.numpy.ones(4)).launches)
    1
    """
    from fx.jit import Jitted, jit
    from lowering.debug import explain_text

    jitted = fun if isinstance(fun, Jitted) else jit(fun)

    def explained(*args: Any, **kwargs: Any) -> Explanation:
        compiled = jitted.lower(*args, **kwargs).compile()
        plan = compiled._plan
        cost = compiled.cost_analysis()
        flops, nbytes = cost["flops"], cost["bytes accessed"]
        head = f"{compiled.fun_name}: {flops:.4g} operations, {nbytes:.4g} bytes in and out"
        if plan is None:
            text = f"{head}\nno kernels: the interpreter runs the graph, or nothing is computed"
            return Explanation(compiled.fun_name, 0, flops, nbytes, (), text)
        reasons = tuple(plan.meta.get("reasons", ()))
        text = f"{head}\n{explain_text(plan)}"
        return Explanation(compiled.fun_name, plan.launches, flops, nbytes, reasons, text)

    return explained
