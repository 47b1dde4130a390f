"""fx.lax: random_bits by an explicit state (rng_bit_generator), and by a hidden one (rng_uniform).

fx.random is the interface to prefer. JAX leaves the bits of both functions to the device; here
they are threefry's.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fx import core
from fx.core import get_aval
from fx.prims import elementwise, parts, random_bits
from fx.prims import shape as views
from fx.prims.convert import bitcast_convert_type_p, convert
from fx.typing import Array

__all__ = ["RandomAlgorithm", "rng_bit_generator", "rng_uniform"]


class RandomAlgorithm(enum.IntEnum):
    """Names of generators that `rng_bit_generator` may ask for, as in JAX; threefry runs."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2


def rng_bit_generator(
    key: Any,
    shape: Sequence[int],
    dtype: Any = np.uint32,
    algorithm: RandomAlgorithm = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: Any = None,
) -> tuple[Array, Array]:
    """(the next state, random bits of an unsigned dtype) from a state uint32[4] or uint64[2].

    The first half of the state is the key; the second half counts calls.

    The next state has the counter one higher. TypeError for other states or dtypes.
    """
    aval = get_aval(key)
    if (aval.shape, aval.dtype) not in (((4,), np.dtype(np.uint32)), ((2,), np.dtype(np.uint64))):
        raise TypeError(
            f"rng_bit_generator: the state must be uint32[4] or uint64[2], got {aval.str_short()}."
        )
    wide = aval.dtype == np.uint64
    words = (
        key
        if not wide
        else views.reshape(bitcast_convert_type_p.bind(key, new_dtype=np.dtype(np.uint32)), (4,))
    )
    count = _word(words, 2)
    typed = random_bits.random_wrap_p.bind(parts.slice_in_dim(words, 0, 2))
    typed = random_bits.random_fold_in_p.bind(typed, count)
    typed = random_bits.random_fold_in_p.bind(typed, _word(words, 3))
    dtype = np.dtype(dtype)
    if dtype.kind != "u":
        raise TypeError(f"rng_bit_generator: the bits need an unsigned dtype, got {dtype.name}.")
    bits = random_bits.random_bits_p.bind(
        typed, bit_width=dtype.itemsize * 8, shape=tuple(map(int, shape))
    )
    step = np.array([0, 0, 1, 0], np.uint32)
    new = elementwise.add(words, core.host.from_numpy(step, False))
    if wide:
        new = bitcast_convert_type_p.bind(views.reshape(new, (2, 2)), new_dtype=np.dtype(np.uint64))
    return new, convert(bits, dtype)


def _word(words: Any, k: int) -> Any:
    return views.reshape(parts.slice_in_dim(words, k, k + 1), ())


_calls = itertools.count()


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Array:
    """Uniform samples in [a, b) from a hidden state that each call (each trace, under jit)
    advances.

    a and b are scalars of one dtype (TypeError otherwise), which is that of the result; integers
    work too.
    """
    import fx.random as random

    x, y = get_aval(a), get_aval(b)
    if x.dtype != y.dtype or x.shape != () or y.shape != ():
        raise TypeError(
            f"rng_uniform requires scalars of one dtype, got {x.str_short()} and {y.str_short()}."
        )
    key = random.fold_in(random.key(0), next(_calls))
    if x.dtype.kind in "iu":
        return random.randint(key, shape, a, b, x.dtype)
    return random.uniform(key, shape, x.dtype, a, b)
