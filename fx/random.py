"""fx.random: random numbers from keys, the same numbers as JAX's.

A key is made from a seed (`key`), split, and used once; every function here is pure. Bits come
from threefry2x32 with the position of each element as the counter, so they do not depend on the
device, and inside jit they fuse with their consumers.
"""

from __future__ import annotations

from fx.former import asked as _asked
from fx.numpy.recorded import replace as _record
from fx.random_.discrete import *  # noqa: F403
from fx.random_.gamma import *  # noqa: F403
from fx.random_.inverse import *  # noqa: F403
from fx.random_.keys import *  # noqa: F403
from fx.random_.normal import *  # noqa: F403
from fx.random_.uniform import *  # noqa: F403

_record(
    globals(),
    (
        *("bernoulli", "bits", "categorical", "exponential", "fold_in", "gumbel", "laplace"),
        *("normal", "permutation", "randint", "split", "truncated_normal", "uniform"),
    ),
)

__getattr__ = _asked(__name__)
