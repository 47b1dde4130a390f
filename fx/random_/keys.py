"""Random keys: how they are made, split, and looked into.

A typed key is an element of dtype key<fry>; arrays of keys index, reshape, vmap and jit like any
array. A raw key is uint32[2]; what takes a raw key gives raw keys back.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

import fx.numpy as jnp
from fx import avals, dtypes, lax
from fx.avals import is_floating, is_key, x64_enabled
from fx.config import config
from fx.core import Tracer, get_aval
from fx.dtypes import as_dtype, check_requested
from fx.prims import random_bits as prims
from fx.typing import Array

__all__ = [
    "PRNGKey",
    "bits",
    "clone",
    "fold_in",
    "key",
    "key_data",
    "key_dtype",
    "key_impl",
    "split",
    "wrap_key_data",
]

# what samplers have in common
KEY = "key: one key, typed or raw; ValueError for an array of keys, TypeError for none."
FLOATS = (
    f"{KEY}\ndtype: a float one, by default float32 (float64 under enable_x64); else ValueError."
)
FLOATS_OR_COMPLEX = FLOATS.replace("a float", "a float or complex")
INTEGERS = (
    f"{KEY}\ndtype: an integer one, by default int32 (int64 under enable_x64); else TypeError."
)
WITH_PARAMETERS = (
    "\nParameters broadcast to the shape, by default their common one; ValueError otherwise."
)

_IMPLEMENTATIONS = ("threefry2x32", "fry")


def _check_impl(impl: Any, dtype: Any = None) -> None:
    """Only threefry2x32 exists: for JAX's two other names its keys are made, with a warning."""
    if impl is not None and dtype is not None:
        raise ValueError("cannot specify both impl and dtype")
    given = impl if impl is not None else dtype
    if given is None or given == avals.key_dtype:
        return
    if not isinstance(given, str):
        raise TypeError(f"unrecognized type {type(given)} for specifying PRNG implementation.")
    if given in ("rbg", "unsafe_rbg"):
        warnings.warn(
            f'"{given}" keys are threefry2x32 keys of two words here; the numbers are its',
            stacklevel=3,
        )
    elif given not in _IMPLEMENTATIONS:
        raise ValueError(
            f'unrecognized PRNG implementation "{given}". The only one is "threefry2x32".'
        )


def _seeded(name: str, seed: Any) -> Any:
    aval = get_aval(seed)
    if is_key(aval.dtype):
        raise TypeError(f"{name} accepts a scalar seed, but was given a PRNG key.")
    if aval.ndim:
        raise TypeError(
            f"{name} accepts a scalar seed, but was given an array of shape {aval.shape} != (). "
            "Use fx.vmap for batching"
        )
    if isinstance(seed, int):
        wide = np.int64(seed)
        seed = wide if x64_enabled() else wide.astype(np.int32)
    if get_aval(seed).dtype.kind not in "iu":
        raise TypeError(f"PRNG key seed must be an integer; got {seed!r}")
    return prims.random_seed_p.bind(seed)


def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Array:
    """The typed key of an integer seed (wrapped to 32 bits unless x64 is enabled).

    The seed is one integer, which may be traced; TypeError for arrays, floats and keys, ValueError
    for another generator than threefry2x32.

    >>> key_data(key(7))
    Array([0, 7], dtype=uint32)
    """
    _check_impl(impl, dtype)
    return _seeded("key", seed)


def PRNGKey(seed: Any, *, impl: Any = None) -> Array:
    """The raw key uint32[2] of an integer seed; with `jax_enable_custom_prng` the typed one.

    Seeds and errors are those of `key`. Such keys do not tell used from unused ones by type.
    """
    _check_impl(impl)
    made = _seeded("PRNGKey", seed)
    return made if config.enable_custom_prng else prims.random_unwrap_p.bind(made)


def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Array:
    """uint32 [..., 2] as an array [...] of typed keys.

    The inverse of `key_data`. TypeError for other dtypes or last axes.
    """
    _check_impl(impl, dtype)
    return prims.random_wrap_p.bind(jnp.asarray(key_bits_array))


_NO_KEY = "{}: unexpected PRNG key type {}. Make a key with fx.random.key(seed)."


def typed(name: str, given: Any, batched: bool = False) -> tuple[Any, bool]:
    """The key as a typed one, and whether it was raw; errors for anything that is no single key."""
    try:
        aval = get_aval(given)
    except TypeError:
        raise TypeError(_NO_KEY.format(name, type(given))) from None
    raw = not is_key(aval.dtype)
    if raw:
        if type(given) in (bool, int, float, complex):
            raise TypeError(_NO_KEY.format(name, type(given)))
        if config.legacy_prng_key == "error":
            raise ValueError(
                "Legacy uint32 key array passed as key to a random function: make keys with "
                'fx.random.key(), or set legacy_prng_key="allow".'
            )
        given = prims.random_wrap_p.bind(given)
        aval = get_aval(given)
    if aval.ndim and not batched:
        raise ValueError(
            f"{name} accepts a single key, but was given a key array of shape {aval.shape} != (). "
            "Use fx.vmap for batching."
        )
    return given, raw


def key_data(keys: Any) -> Array:
    """The words of keys, uint32 [..., 2].

    They are what `wrap_key_data` takes; raw keys come back as they are.
    """
    return prims.random_unwrap_p.bind(typed("key_data", keys, batched=True)[0])


def key_impl(keys: Any) -> str:
    """The name of the keys' generator.

    It is "threefry2x32", the only one (Salmon et al. 2011); TypeError for what is no key.
    """
    typed("key_impl", keys, batched=True)
    return "threefry2x32"


def key_dtype(impl_spec: Any = None) -> np.dtype:
    """The dtype of typed keys.

    It is key<fry>, an element of 8 bytes.
    """
    _check_impl(impl_spec)
    return avals.key_dtype


def split_key(k: Any, num: Any = 2) -> list[Any]:
    """`num` new typed keys from a typed one, as a Python list."""
    keys = prims.random_split_p.bind(k, shape=(num,))
    return [keys[i] for i in range(num)]


def split(key: Any, num: int | tuple[int, ...] = 2) -> Array:
    """`num` new keys (or an array of that shape) from one.

    Keys are of the kind given: typed [*shape], raw [*shape, 2] uint32. New key i is threefry's
    output at counter i, so that keys of one parent differ. ValueError for an array of keys (use
    vmap).

    >>> split(PRNGKey(0)).shape
    (2, 2)
    """
    k, raw = typed("split", key)
    shape = tuple(num) if isinstance(num, Sequence) else (operator.index(num),)
    keys = prims.random_split_p.bind(k, shape=canonical_shape(shape))
    return prims.random_unwrap_p.bind(keys) if raw else keys


def fold_in(key: Any, data: Any) -> Array:
    """The key that a 32-bit integer selects under `key`.

    data is a scalar (TypeError otherwise) in [0, 2^32), else OverflowError; it may be traced. Equal
    data gives equal keys.
    """
    k, raw = typed("fold_in", key)
    aval = get_aval(data)
    if aval.ndim:
        raise TypeError(
            f"fold_in accepts a scalar, but was given an array of shape {aval.shape} != (). "
            "Use fx.vmap for batching."
        )
    out = prims.random_fold_in_p.bind(k, jnp.asarray(data, dtype=np.uint32))
    return prims.random_unwrap_p.bind(out) if raw else out


def clone(key: Any) -> Array:
    """The same key; says that using it again is intended.

    Keys or arrays of keys, typed or raw.
    """
    k, raw = typed("clone", key, batched=True)
    return key if raw else k


# ---------------------------------------------------------------- shared by the samplers


def random_bits(k: Any, width: int, shape: tuple[int, ...]) -> Any:
    return prims.random_bits_p.bind(k, bit_width=width, shape=shape)


def bits(
    key: Any, shape: Sequence[int] = (), dtype: Any = None, *, out_sharding: Any = None
) -> Array:
    """Uniform random bits as unsigned integers (by default uint32, in x64 mode uint64).

    The result has `shape`; ValueError for a dtype that is not unsigned.
    """
    k, _ = typed("bits", key)
    default = avals.canonicalize_dtype(np.uint64)
    given = default if dtype is None else check_requested(dtype, "bits")
    if given.kind != "u":
        raise ValueError(f"dtype argument to `bits` must be an unsigned int dtype, got {dtype}")
    return random_bits(k, given.itemsize * 8, canonical_shape(shape))


def canonical_shape(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of Python integers; one integer is the length of a vector."""
    if isinstance(shape, int | np.integer):
        shape = (shape,)
    try:
        sizes = tuple(map(operator.index, shape))
    except TypeError:
        raise TypeError(
            f"Shapes must be 1D sequences of concrete values of integer type, got {shape}."
        ) from None
    if any(s < 0 for s in sizes):
        raise ValueError(f"shape must have non-negative sizes, got {sizes}")
    return sizes


def float_dtype(name: str, dtype: Any, complex_too: bool = False) -> np.dtype:
    """The canonical floating dtype of a request (default float)."""
    given = check_requested(float if dtype is None else dtype, name)
    if not (is_floating(given) or (complex_too and given.kind == "c")):
        kind = "a float or complex" if complex_too else "a float"
        raise ValueError(f"dtype argument to `{name}` must be {kind} dtype, got {dtype}")
    return given


def int_dtype(name: str, dtype: Any) -> np.dtype:
    """The canonical integer dtype of a request (default int)."""
    given = check_requested(int if dtype is None else dtype, name)
    if given.kind not in "iu":
        raise TypeError(f"{name} only accepts integer dtypes, got {as_dtype(dtype)}")
    return given


def sample_shape(name: str, shape: Any, *params: Any) -> tuple[int, ...]:
    """The given shape, checked against the parameters', or their broadcast where it is None."""
    shapes = [get_aval(p).shape for p in params]
    if shape is None:
        return avals.broadcast_shapes(*shapes) if shapes else ()
    shape = canonical_shape(shape)
    if shapes:
        joined = avals.broadcast_shapes(shape, *shapes)
        if joined != shape:
            raise ValueError(
                f"{name} parameter shapes must be broadcast-compatible with shape argument, and "
                f"the "
                f"result of broadcasting the shapes must equal the shape argument, but got result "
                f"{joined} for shape argument {shape}."
            )
    return shape


def param(x: Any, dtype: Any) -> Any:
    """A parameter in the sample's dtype; scalars stay literals of what is traced."""
    if isinstance(x, bool | int | float | np.generic):
        return np.dtype(dtype).type(x)
    return jnp.asarray(x, dtype=dtype)


def spread(x: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A parameter in the sample's shape and dtype."""
    return jnp.broadcast_to(param(x, dtype), shape)


def constant(dtype: Any, value: Any) -> Any:
    return np.dtype(dtype).type(value)


def stored(x: Any) -> Any:
    """A 16-bit float as memory would hold it; others as they are.

    Kernels keep 16-bit floats as float32 from one operation to the next, and few bits make the
    difference large: samples do not depend on what is fused.
    """
    if x.dtype.itemsize != 2 or not isinstance(x, Tracer):
        return x
    info = dtypes.finfo(x.dtype)
    return lax.reduce_precision(x, int(info.nexp), int(info.nmant))
