"""fx.scipy.cluster.vq: the nearest code of each observation."""

from __future__ import annotations

from typing import Any

from fx import numpy as fnp
from fx.numpy.util import promote_dtypes_inexact

__all__ = ["vq"]


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """For observations [m, d] and codes [k, d]: the index of the nearest code and its distance.

    Euclidean distances [m], indices int32 [m]; vectors are observations of one number. ValueError
    for other or unequal ranks.
    """
    x, codes = (fnp.asarray(v) for v in promote_dtypes_inexact("vq", obs, code_book))
    if x.ndim != codes.ndim:
        raise ValueError("Observation and code_book should have the same rank")
    if x.ndim == 1:
        x, codes = x[:, None], codes[:, None]
    if x.ndim != 2:
        raise ValueError("ndim different than 1 or 2 are not supported")
    distance = fnp.linalg.norm(x[:, None, :] - codes[None, :, :], axis=-1)
    return fnp.argmin(distance, axis=-1), fnp.min(distance, axis=-1)
