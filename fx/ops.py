"""Reductions by segment: rows of an array combined by the number that each carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import lax
from fx import numpy as fnp
from fx.former import asked as _asked
from fx.numpy.recorded import replace as _record
from fx.numpy.reductions import highest, lowest
from fx.numpy.util import concrete

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]

__getattr__ = _asked(__name__)


def _segment(
    name: str, op: str, data: Any, ids: Any, num_segments: Any, fill: Any, flags: dict[str, Any]
) -> Any:
    data, ids = fnp.asarray(data), fnp.asarray(ids)
    if num_segments is None:
        known = concrete(ids, f"The num_segments argument of fx.ops.{name} must be static.")
        num_segments = int(known.max()) + 1 if known.size else 0
    num_segments = int(num_segments)
    if num_segments < 0:
        raise ValueError("num_segments must be non-negative.")
    if data.ndim == 0:  # one number for every member
        data = fnp.broadcast_to(data, ids.shape)
    if ids.shape != data.shape[: ids.ndim]:
        raise ValueError(
            f"{name}: segment_ids of shape {ids.shape} do not lead data of shape {data.shape}"
        )
    bucket = flags.pop("bucket_size")
    if flags["mode"] is None:
        flags["mode"] = lax.GatherScatterMode.FILL_OR_DROP
    # A negative segment number belongs to no segment.
    ids = fnp.where(ids < 0, num_segments, ids)
    shape = (num_segments, *data.shape[ids.ndim :])
    start = lax.full(shape, fill(data.dtype), data.dtype)
    if bucket is None:
        return getattr(start.at[ids], op)(data, **flags)
    parts = []
    for a in range(0, data.shape[0], bucket):
        parts.append(getattr(start.at[ids[a : a + bucket]], op)(data[a : a + bucket], **flags))
    fold = {"add": fnp.sum, "multiply": fnp.prod, "max": fnp.max, "min": fnp.min}[op]
    return fold(fnp.stack(parts), axis=0).astype(data.dtype) if parts else start


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The sum of each segment's rows, [num_segments, ..]; an empty segment gives 0.

    data is [n, ..] (or one number), segment_ids integers [n], in any order; a row whose number is
    negative or beyond the last belongs to no segment. num_segments None: the largest number plus
    one, which jit cannot know (ConcretizationTypeError). ValueError where shapes do not fit.

    >>> import fx.numpy as fnp
    >>> segment_sum(fnp.arange(4.0), fnp.array([0, 0, 1, 1]))
    Array([1., 5.], dtype=float32)
    """
    flags = _flags(indices_are_sorted, unique_indices, bucket_size, mode)
    return _segment("segment_sum", "add", data, segment_ids, num_segments, _zero, flags)


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The product of each segment's rows; an empty segment gives 1. Arguments as in
    `segment_sum`.
    """
    flags = _flags(indices_are_sorted, unique_indices, bucket_size, mode)
    return _segment("segment_prod", "multiply", data, segment_ids, num_segments, _one, flags)


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The largest of each segment's rows; an empty segment gives -inf (the least integer).
    Arguments as in `segment_sum`.
    """
    flags = _flags(indices_are_sorted, unique_indices, bucket_size, mode)
    return _segment("segment_max", "max", data, segment_ids, num_segments, lowest, flags)


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: Any = None,
    out_sharding: Any = None,
) -> Any:
    """The smallest of each segment's rows; an empty segment gives inf (the greatest integer).
    Arguments as in `segment_sum`.
    """
    flags = _flags(indices_are_sorted, unique_indices, bucket_size, mode)
    return _segment("segment_min", "min", data, segment_ids, num_segments, highest, flags)


def _flags(is_sorted: bool, unique: bool, bucket: int | None, mode: Any) -> dict[str, Any]:
    return {
        "indices_are_sorted": is_sorted,
        "unique_indices": unique,
        "bucket_size": bucket,
        "mode": mode,
    }


def _zero(dtype: np.dtype) -> int:
    return 0


def _one(dtype: np.dtype) -> int:
    return 1


_record(globals(), ("segment_sum", "segment_prod", "segment_max", "segment_min"))
