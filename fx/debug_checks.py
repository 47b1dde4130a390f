"""What debug_nans and debug_infs do: look at every eager result, and at every output of a jitted
call.

An output of a jitted call that is not finite makes the function run again, operation by operation,
to name the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core
from fx.avals import is_inexact
from fx.config import config, on_change


def first_fault(x: Any) -> str | None:
    """`nan` or `inf`, whichever flagged value x holds, or None."""
    if isinstance(x, core.Tracer) or not is_inexact(core.get_aval(x).dtype):
        return None
    a = core.host.to_numpy(x)
    if a.dtype.kind not in "fc":
        a = a.astype(np.float32)
    if config.debug_nans and np.isnan(a).any():
        return "nan"
    if config.debug_infs and np.isinf(a).any():
        return "inf"
    return None


def check_values(p: core.Primitive, values: Sequence[Any]) -> None:
    """Raise FloatingPointError that names the primitive if one of its results holds a flagged
    value. What only spreads a value makes none: `where(ok, y, nan)` is about what it chooses.
    """
    if p.name == "broadcast_in_dim":
        return
    for v in values:
        fault = first_fault(v)
        if fault is not None:
            source = core.user_source()
            at = f" at {source}" if source is not None else ""
            raise FloatingPointError(f"invalid value ({fault}) encountered in {p.name}{at}")


def check_outputs(
    closed: core.ClosedJaxpr, args: Sequence[Any], outs: Sequence[Any], name: str
) -> None:
    """If an output of a jitted call holds a flagged value, find the operation that made it."""
    faults = [f for f in map(first_fault, outs) if f is not None]
    if faults:
        core.eval_jaxpr(closed.jaxpr, closed.consts, *args)
        raise FloatingPointError(
            f"invalid value ({faults[0]}) encountered in jit({name}); no operation gives it eagerly"
        )


def _update(value: Any, thread_only: bool) -> None:
    core.install("checker", check_values if config.debug_nans or config.debug_infs else None)


on_change("debug_nans", _update)
on_change("debug_infs", _update)


def _watch_traces(value: Any, thread_only: bool) -> None:
    core.install("ended_traces", [] if value else None)


on_change("check_tracer_leaks", _watch_traces)
