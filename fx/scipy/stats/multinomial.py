"""The multinomial distribution, counts of n independent choices: n! prod p_i^x_i / x_i!."""

from __future__ import annotations

from typing import Any

import numpy as np

from fx import numpy as fnp
from fx.scipy.special import gammaln, xlogy
from fx.scipy.stats.common import args

__all__ = ["logpmf", "pmf"]


def logpmf(x: Any, n: Any, p: Any) -> Any:
    """Log probability of integer counts x [..., k], -inf unless they sum to n.

    n [...], p [..., k]. ValueError unless x and n are integers.
    """
    x, n = fnp.asarray(x), fnp.asarray(n)
    if x.dtype.kind not in "iu" or n.dtype.kind not in "iu":
        raise ValueError(f"x and n must be of integer type; got {x.dtype} and {n.dtype}")
    (p,) = args("multinomial.logpmf", p)
    whole = fnp.sum(x, axis=-1) == n
    x, n = x.astype(p.dtype), n.astype(p.dtype)
    logs = gammaln(n + 1) + fnp.sum(xlogy(x, p) - gammaln(x + 1), axis=-1)
    return fnp.where(whole, logs, -np.inf)


def pmf(x: Any, n: Any, p: Any) -> Any:
    """Probability of integer counts x [..., k], 0 unless they sum to n; p [..., k]."""
    return fnp.exp(logpmf(x, n, p))
