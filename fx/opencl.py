"""opencl_call: a user's own OpenCL kernel inside traced code."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx.prims.callback import result_avals
from fx.prims.custom_call import opencl_call_p
from fx.tree_util import tree_flatten

__all__ = ["opencl_call"]

_INTEGER = {"int", "uint", "long", "ulong", "short", "ushort", "char", "uchar"}


def opencl_call(
    source: str,
    name: str,
    result_shape_dtypes: Any,
    *args: Any,
    global_size: Sequence[int],
    local_size: Sequence[int] | None = None,
    scalars: Sequence[tuple[str, int]] = (),
) -> Any:
    """The results that the kernel `name` of `source` writes, as a tree like result_shape_dtypes.

    The kernel's arguments are pointers to the operands in order, pointers to the results in order,
    then `scalars`, pairs of an OpenCL integer type and a value. Arrays are row-major; results
    start uninitialised. The call works under jit and vmap; give it derivatives with custom_jvp or
    custom_vjp. Raises TypeError for complex arrays, ValueError for work sizes that are not
    positive.

    >>> source = '''kernel void twice(global const float *x, global float *y) {
    ...   y[get_global_id(0)] = 2 * x[get_global_id(0)]; }'''
    >>> result = fx.ShapeDtypeStruct((3,), fx.numpy.float32)
    >>> opencl_call(source, "twice", result, fx.numpy.arange(3.0), global_size=(3,))
    Array([0., 2., 4.], dtype=float32)
    """
    sizes = tuple(map(operator.index, global_size))
    local = None if local_size is None else tuple(map(operator.index, local_size))
    if not 1 <= len(sizes) <= 3 or any(n < 1 for n in (*sizes, *(local or ()))):
        raise ValueError(
            f"opencl_call: one to three positive work sizes, got {global_size}, {local_size}"
        )
    for kind, _ in scalars:
        if kind not in _INTEGER:
            raise TypeError(
                f"opencl_call: scalars are OpenCL integers {sorted(_INTEGER)}, got {kind!r}"
            )
    specs, tree = tree_flatten(result_shape_dtypes)
    outs = opencl_call_p.bind(
        *(np.asarray(a) if isinstance(a, int | float) else a for a in args),
        source=source,
        name=name,
        results=result_avals(specs),
        global_size=sizes,
        local_size=local,
        scalars=tuple((k, int(v)) for k, v in scalars),
    )
    return tree.unflatten(outs)
