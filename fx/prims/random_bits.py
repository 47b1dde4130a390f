"""Random keys and bits: threefry2x32 with 20 rounds, the counter an element's flat position.

This is JAX's partitionable scheme. A typed key is one element of `avals.key_dtype`, two uint32
words that move as one, so indexing, reshaping and stacking are the ordinary primitives; lowering
sees a uint64 whose low word is the first. No derivative exists: bits are integers.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fx.avals import ShapedArray, is_key, key_dtype
from fx.core import no
from fx.prims.registry import Case, primitive

_WORDS = key_dtype.names[0]  # type: ignore[index]
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_U32 = np.dtype(np.uint32)
_BLOCK = 1 << 15  # elements a pass, so that the four working arrays stay in the second-level cache


# ---------------------------------------------------------------- threefry on the host


def threefry(k0: Any, k1: Any, c0: np.ndarray, c1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32-20 (Salmon et al., SC 2011) of counters under keys; all uint32, broadcast
    together.
    """
    shape = np.broadcast_shapes(np.shape(k0), np.shape(k1), c0.shape, c1.shape)
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0 = np.add(c0, k0, out=np.empty(shape, _U32))
    x1 = np.add(c1, k1, out=np.empty(shape, _U32))
    high = np.empty(shape, _U32)
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 += x1
            np.left_shift(x1, np.uint32(r), out=high)
            np.right_shift(x1, np.uint32(32 - r), out=x1)
            x1 |= high
            x1 ^= x0
        x0 += keys[(group + 1) % 3]
        x1 += keys[(group + 2) % 3]
        x1 += np.uint32(group + 1)
    return x0, x1


def words(keys: np.ndarray) -> np.ndarray:
    """Typed keys [...] as uint32 [..., 2]; no copy."""
    return keys[_WORDS]


def from_words(data: np.ndarray) -> np.ndarray:
    """uint32 [..., 2] as typed keys [...]."""
    keys = np.empty(data.shape[:-1], key_dtype)
    keys[_WORDS] = data
    return keys


def bits_of(keys: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Both words of the first n counters under each key: two arrays [*keys.shape, n]."""
    data = words(keys)
    k0, k1 = data[..., 0:1], data[..., 1:2]
    if n <= _BLOCK:
        low = np.arange(n, dtype=_U32)
        return threefry(k0, k1, np.zeros_like(low), low)
    out0, out1 = np.empty((*keys.shape, n), _U32), np.empty((*keys.shape, n), _U32)
    for start in range(0, n, _BLOCK):
        count = np.arange(start, min(start + _BLOCK, n), dtype=np.uint64)
        high, low = (count >> np.uint64(32)).astype(_U32), count.astype(_U32)
        part = slice(start, start + low.size)
        out0[..., part], out1[..., part] = threefry(k0, k1, high, low)
    return out0, out1


# ---------------------------------------------------------------- threefry in graphs


def _node_words(b: Any, keys: Any) -> tuple[Any, Any]:
    """The two words of key nodes (uint64)."""
    low = b.convert(b.map("and", keys, b.const(0xFFFFFFFF, np.uint64)), _U32)
    return low, b.convert(b.map("shrl", keys, b.const(32, np.uint64)), _U32)


def _node_key(b: Any, w0: Any, w1: Any) -> Any:
    high = b.map("shl", b.convert(w1, np.uint64), b.const(32, np.uint64))
    return b.map("or", high, b.convert(w0, np.uint64))


def _node_counters(b: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """High and low word of the flat position in `shape`."""
    n = prod(shape)
    if n < 1 << 32:
        low = b.reshape(b.iota((n,), 0, _U32), shape)
        return b.const(0, _U32, shape), low
    flat = b.reshape(b.iota((n,), 0, np.uint64), shape)
    return b.convert(b.map("shrl", flat, b.const(32, np.uint64)), _U32), b.convert(flat, _U32)


def _node_bits(b: Any, keys: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Both words under each key: two nodes [*keys.shape, *shape]."""
    rank, full = keys.ndim, (*keys.shape, *shape)
    w0, w1 = (b.broadcast(w, full, range(rank)) for w in _node_words(b, keys))
    c0, c1 = (b.broadcast(c, full, range(rank, len(full))) for c in _node_counters(b, shape))
    return b.threefry(w0, w1, c0, c1)


# ---------------------------------------------------------------- entries

_NO_TRANSPOSE = no("random bits are no linear function of a key")


def _keys_only(name: str, keys: ShapedArray) -> None:
    if not is_key(keys.dtype):
        raise TypeError(
            f"{name} requires typed random keys (fx.random.key), got {keys.str_short()}."
        )


def _one_batch(p_of: Any) -> Any:
    """Keys stand in front in the result: moving the mapped axis first is all."""

    def batch(axis, args, dims, **params):
        from fx.prims import shape

        return p_of().bind(shape.move_axis(args[0], dims[0], 0), **params), 0

    return batch


_UINT = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16), 32: _U32, 64: np.dtype(np.uint64)}


def _bits_abstract(keys, *, bit_width, shape):
    _keys_only("random_bits", keys)
    if bit_width not in _UINT:
        raise TypeError("requires 8-, 16-, 32- or 64-bit field width.")
    return ShapedArray((*keys.shape, *shape), _UINT[bit_width])


def _bits_numpy(keys, *, bit_width, shape):
    w0, w1 = bits_of(keys, prod(shape))
    if bit_width == 64:
        out = w0.astype(np.uint64) << np.uint64(32) | w1
    else:
        out = (w0 ^ w1).astype(_UINT[bit_width], copy=False)
    return out.reshape((*keys.shape, *shape))


def _bits_lower(b, keys, *, bit_width, shape):
    w0, w1 = _node_bits(b, keys, tuple(shape))
    if bit_width == 64:
        return _node_key(b, w1, w0)
    return b.convert(b.map("xor", w0, w1), _UINT[bit_width])


def _random_keys(rng: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Keys for test cases."""
    return from_words(rng.integers(0, 1 << 32, (*shape, 2), _U32))


random_bits_p = primitive(
    "random_bits",
    "Uniform random bits of a width, an array of `shape` for every key.",
    abstract=_bits_abstract,
    numpy=_bits_numpy,
    jvp="zero",
    transpose=_NO_TRANSPOSE,
    batch=_one_batch(lambda: random_bits_p),
    lower=_bits_lower,
    cases=lambda: [
        Case((s,), {"bit_width": w, "shape": t}, (key_dtype,), (_random_keys,), ())
        for s, t, w in (
            ((), (5,), 32),
            ((3,), (2, 2), 8),
            ((), (), 16),
            ((2,), (0,), 32),
            ((0,), (2,), 32),
        )
    ],
)


def _seed_words(seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(high, low) word; 32-bit seeds have high word 0, negative ones too."""
    if seeds.dtype.itemsize == 8:
        wide = seeds.astype(np.uint64)
        return (wide >> np.uint64(32)).astype(_U32), wide.astype(_U32)
    return np.zeros(seeds.shape, _U32), seeds.astype(_U32)


def _seed_abstract(seeds):
    if seeds.dtype.kind not in "iu":
        raise TypeError(f"PRNG key seed must be an integer; got {seeds.str_short()}.")
    return ShapedArray(seeds.shape, key_dtype)


def _seed_lower(b, seeds):
    if seeds.dtype.itemsize == 8:
        wide = b.convert(seeds, np.uint64)
        high = b.convert(b.map("shrl", wide, b.const(32, np.uint64)), _U32)
        return _node_key(b, high, b.convert(wide, _U32))
    return _node_key(b, b.const(0, _U32, seeds.shape), b.convert(seeds, _U32))


random_seed_p = primitive(
    "random_seed",
    "The key of an integer seed.",
    abstract=_seed_abstract,
    numpy=lambda seeds: from_words(np.stack(_seed_words(seeds), -1)),
    jvp="zero",
    transpose=_NO_TRANSPOSE,
    batch=_one_batch(lambda: random_seed_p),
    lower=_seed_lower,
    cases=lambda: [
        Case(((),), {}, (np.int32,), ((-9, 9),), ()),
        Case(((2,),), {}, (np.uint32,), ((0, 1 << 31),), ()),
        Case(((0,),), {}, (np.uint32,), None, ()),
    ],
)


def _split_abstract(keys, *, shape):
    _keys_only("random_split", keys)
    return ShapedArray((*keys.shape, *shape), key_dtype)


def _split_numpy(keys, *, shape):
    return from_words(np.stack(bits_of(keys, prod(shape)), -1)).reshape((*keys.shape, *shape))


random_split_p = primitive(
    "random_split",
    "An array of `shape` of new keys for every key.",
    abstract=_split_abstract,
    numpy=_split_numpy,
    jvp="zero",
    transpose=_NO_TRANSPOSE,
    batch=_one_batch(lambda: random_split_p),
    lower=lambda b, keys, *, shape: _node_key(b, *_node_bits(b, keys, tuple(shape))),
    cases=lambda: [
        Case((s,), {"shape": t}, (key_dtype,), (_random_keys,), ())
        for s, t in (((), (3,)), ((2,), (2, 2)), ((0,), (2,)))
    ],
)


def _fold_abstract(keys, data):
    _keys_only("random_fold_in", keys)
    if keys.shape != data.shape or data.dtype != _U32:
        raise TypeError(
            f"random_fold_in requires uint32 data of the keys' shape, got {data.str_short()} for "
            f"keys of shape "
            f"{keys.shape}."
        )
    return ShapedArray(keys.shape, key_dtype)


def _fold_numpy(keys, data):
    k = words(keys)
    out = threefry(k[..., 0], k[..., 1], np.zeros(data.shape, _U32), np.asarray(data))
    return from_words(np.stack(out, -1))


def _fold_batch(axis, args, dims):
    from fx.prims import shape

    moved = [
        shape.broadcast_new_axis(a, 0, axis.size) if d is None else shape.move_axis(a, d, 0)
        for a, d in zip(args, dims)
    ]
    return random_fold_in_p.bind(*moved), 0


def _fold_lower(b, keys, data):
    return _node_key(b, *b.threefry(*_node_words(b, keys), b.const(0, _U32, keys.shape), data))


random_fold_in_p = primitive(
    "random_fold_in",
    "The keys that integers select under keys, element by element.",
    abstract=_fold_abstract,
    numpy=_fold_numpy,
    jvp="zero",
    transpose=_NO_TRANSPOSE,
    batch=_fold_batch,
    lower=_fold_lower,
    cases=lambda: [
        Case((s, s), {}, (key_dtype, _U32), (_random_keys, (0, 100)), ()) for s in ((), (3,), (0,))
    ],
)


def _wrap_abstract(data):
    if data.dtype != _U32 or data.shape[-1:] != (2,):
        raise TypeError(f"random key data must be uint32[..., 2], got {data.str_short()}.")
    return ShapedArray(data.shape[:-1], key_dtype)


def _last_word(b, data, k):
    starts, limits = [0] * data.ndim, list(data.shape)
    starts[-1], limits[-1] = k, k + 1
    return b.reshape(b.slice(data, starts, limits), data.shape[:-1])


random_wrap_p = primitive(
    "random_wrap",
    "uint32 [..., 2] as typed keys [...].",
    abstract=_wrap_abstract,
    numpy=from_words,
    jvp="zero",
    transpose=_NO_TRANSPOSE,
    batch=_one_batch(lambda: random_wrap_p),
    lower=lambda b, data: _node_key(b, _last_word(b, data, 0), _last_word(b, data, 1)),
    limits={"0-d": "the last axis of its operand holds the two words of a key"},
    cases=lambda: [Case((s,), {}, (_U32,), ((0, 9),), ()) for s in ((3, 2), (2,), (0, 2))],
)


def _unwrap_abstract(keys):
    _keys_only("random_unwrap", keys)
    return ShapedArray((*keys.shape, 2), _U32)


def _unwrap_lower(b, keys):
    pair = [b.reshape(w, (*keys.shape, 1)) for w in _node_words(b, keys)]
    return b.concat(pair, keys.ndim)


random_unwrap_p = primitive(
    "random_unwrap",
    "Typed keys [...] as uint32 [..., 2].",
    abstract=_unwrap_abstract,
    numpy=lambda keys: np.array(words(keys)),
    jvp="zero",
    transpose=_NO_TRANSPOSE,
    batch=_one_batch(lambda: random_unwrap_p),
    lower=_unwrap_lower,
    cases=lambda: [Case((s,), {}, (key_dtype,), (_random_keys,), ()) for s in ((), (3,), (0,))],
)
