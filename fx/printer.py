"""Jaxprs as text, in JAX's notation: `{ lambda ; a:f32[3]. let b:f32[3] = sin a in (b,) }`.

Variables are lettered in order of appearance; a short program stands on one line, a longer one has
a line an equation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fx.avals import ShapedArray, float0
from fx.jaxpr import ClosedJaxpr, DropVar, Jaxpr, JaxprEqn, Literal, Var, set_printer

_SHORT = {"bool": "bool", "bfloat16": "bf16"}
_WIDTH = 80


def short_aval(aval: ShapedArray) -> str:
    """f32[2,3]"""
    return f"{short_dtype(aval.dtype)}[{','.join(map(str, aval.shape))}]"


def short_dtype(dtype: np.dtype) -> str:
    """f32 for float32."""
    if dtype == float0:
        return "float0"
    name = dtype.name
    if name in _SHORT:
        return _SHORT[name]
    for long, short in (("complex", "c"), ("float", "f"), ("uint", "u"), ("int", "i")):
        if name.startswith(long):
            return short + name[len(long) :]
    return name


def jaxpr_text(jaxpr: Jaxpr | JaxprEqn) -> str:
    """The whole program, or one equation of it with names of its own."""
    printer = _Printer()
    lines = printer.eqn(jaxpr) if isinstance(jaxpr, JaxprEqn) else printer.jaxpr(jaxpr)
    return "\n".join(lines)


class _Printer:
    def __init__(self) -> None:
        self.names: dict[Var, str] = {}

    def name(self, v: Var) -> str:
        found = self.names.get(v)
        if found is None:
            k, found = len(self.names), ""
            while True:
                found = chr(ord("a") + k % 26) + found
                k = k // 26 - 1
                if k < 0:
                    break
            self.names[v] = found
        return found

    def binder(self, v: Var) -> str:
        if isinstance(v, DropVar):
            return f"_:{short_aval(v.aval)}"
        return f"{self.name(v)}:{short_aval(v.aval)}"

    def atom(self, a: Any) -> str:
        if isinstance(a, Literal):
            value = a.val.item() if isinstance(a.val, np.generic) else a.val
            return f"{value}:{short_aval(a.aval)}"
        return self.name(a)

    def jaxpr(self, jaxpr: Jaxpr) -> list[str]:
        consts = " ".join(map(self.binder, jaxpr.constvars))
        args = " ".join(map(self.binder, jaxpr.invars))
        head = f"{{ lambda {consts}; {args}. let"
        lines = [line for eqn in jaxpr.eqns for line in self.eqn(eqn)]
        outs = [self.atom(a) for a in jaxpr.outvars]
        tail = f"in ({', '.join(outs)}{',' if len(outs) == 1 else ''}) }}"
        if len(lines) <= 1:
            line = " ".join([head, *(lines or [""]), tail])
            if len(line) <= _WIDTH:
                return [line]
        return [head, *(f"    {line}" for line in lines), f"  {tail}"]

    def eqn(self, eqn: JaxprEqn) -> list[str]:
        left = " ".join(map(self.binder, eqn.outvars))
        args = " ".join(map(self.atom, eqn.invars))
        head = f"{left} = {eqn.primitive.name}" if left else eqn.primitive.name
        params = [self.param(k, v) for k, v in sorted(eqn.params.items())]
        if not params:
            return [f"{head} {args}".rstrip()]
        flat = f"{head}[{' '.join(p[0] for p in params)}] {args}".rstrip()
        if all(len(p) == 1 for p in params) and len(flat) <= _WIDTH:
            return [flat]
        body = [f"  {line}" for p in params for line in p]
        return [f"{head}[", *body, f"] {args}".rstrip()]

    def param(self, key: str, value: Any) -> list[str]:
        if isinstance(value, ClosedJaxpr):
            value = value.jaxpr
        if isinstance(value, Jaxpr):
            lines = self.jaxpr(value)
            return [f"{key}={lines[0]}", *lines[1:]]
        if isinstance(value, tuple | list) and any(
            isinstance(v, ClosedJaxpr | Jaxpr) for v in value
        ):
            parts = [self.jaxpr(v.jaxpr if isinstance(v, ClosedJaxpr) else v) for v in value]
            return [f"{key}=(", *(f"  {line}" for p in parts for line in p), ")"]
        if isinstance(value, np.dtype):
            value = value.name
        if callable(value) and hasattr(value, "__name__"):
            value = value.__name__
        return [f"{key}={value}"]


set_printer(jaxpr_text)
