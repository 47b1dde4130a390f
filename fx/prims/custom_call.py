"""opencl_call: a user's own OpenCL kernel as a primitive.

Its arguments are the operands' buffers, the results' buffers, then scalars. It has no derivative
of its own (wrap it in custom_jvp or custom_vjp); a batch runs it once an example. Eagerly it is
compiled like a jitted function.
"""

from __future__ import annotations

from typing import Any

from fx.core import no
from fx.prims import callback
from fx.prims.registry import primitive
from lowering import graph


def _abstract(*avals, results, **params):
    for a in (*avals, *results):
        if a.dtype.kind in "cV":
            raise TypeError(f"opencl_call: kernels take no arrays of type {a.str_short()}.")
    return list(results)


_COMPILED: dict[Any, Any] = {}


def _evaluate(*args, **params):
    """Compile and run; one jitted function for each kernel and its parameters."""
    from fx.jit import jit

    key = tuple(sorted(params.items(), key=lambda kv: kv[0]))
    if key not in _COMPILED:
        _COMPILED[key] = jit(lambda *xs: opencl_call_p.bind(*xs, **params))
    return _COMPILED[key](*args)


def _batch(axis, args, dims, **params):
    return callback._one_by_one(opencl_call_p, axis, args, dims, params)


def _lower(b, *nodes, source, name, results, global_size, local_size, scalars):
    form = graph.KernelCall(source, name, global_size, local_size, scalars)
    return list(b.kernel_call(form, nodes, [(a.shape, a.dtype) for a in results]))


opencl_call_p = primitive(
    "opencl_call",
    "What a user's OpenCL kernel writes.",
    multiple_results=True,
    abstract=_abstract,
    numpy=no("its meaning is its OpenCL source"),
    evaluate=_evaluate,
    jvp=no("wrap the call in custom_jvp or custom_vjp to give it a derivative"),
    transpose=no("a kernel is not known to be linear"),
    batch=_batch,
    lower=_lower,
    limits=dict.fromkeys(
        ("vmap", "jit", "dtypes", "empty", "0-d"),
        "what it computes is the user's; tests/test_callbacks.py runs kernels of its own",
    ),
    cases=lambda: [],
)
