"""Arguments by the names, kinds and places that JAX 0.10 gives them."""

from __future__ import annotations

import numpy as np
import pytest

import fx
import fx.numpy as jnp
from fx.core import ShapedArray
from fx.sharding import PartitionSpec

CALLS = {
    "iinfo": lambda: jnp.iinfo(int_type="int8").max == 127,
    "issubdtype": lambda: fx.dtypes.issubdtype(a=np.float32, b=np.floating),
    "flatten": lambda: jnp.ones((2, 2)).flatten(out_sharding=None).shape == (4,),
    "str_short": lambda: ShapedArray((2,), np.dtype("uint8")).str_short(True) == "u8[2]",
    "spec": lambda: PartitionSpec("a").update(partitions=("b",)) == PartitionSpec("b"),
    "lower": lambda: (
        fx.jit(jnp.sin)
        .trace(jnp.ones(2))
        .lower(lowering_platforms=None)
        .compile(None, device_assignment=None)(jnp.zeros(2))
        .tolist()
        == [0, 0]
    ),
    "cross": lambda: jnp.linalg.cross(jnp.eye(3)[0], jnp.eye(3)[1], axis=-1).tolist() == [0, 0, 1],
    "outer": lambda: jnp.linalg.outer(jnp.arange(2), jnp.arange(2)).tolist() == [[0, 0], [0, 1]],
    "vmap": lambda: (
        fx.vmap(jnp.sin, 0, 0, None, None, None, False)(jnp.zeros(2)).tolist() == [0, 0]
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_call(name: str) -> None:
    assert CALLS[name]()


def test_disable_jit_takes_disable() -> None:
    seen = []
    with fx.disable_jit(disable=True):
        fx.jit(lambda x: seen.append(isinstance(x, fx.core.Tracer)))(1.0)
    assert seen == [False]


def test_disable_jit_calls_once_while_a_ref_lives() -> None:
    seen = []
    ref = fx.new_ref(jnp.zeros(()))

    def f(x):
        seen.append(x)
        ref[...] += x

    with fx.disable_jit():
        fx.jit(f)(2.0)
    assert seen == [2.0]
    assert float(ref[...]) == 2.0


@pytest.mark.parametrize(
    "name, message", [("cross", "3-dimensional"), ("outer", "one-dimensional")]
)
def test_vectors_of_the_wrong_shape(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(jnp.linalg, name)(jnp.ones((2, 2)), jnp.ones((2, 2)))


def test_debug_callback_takes_its_options_first() -> None:
    seen = []
    fx.jit(lambda x: fx.debug.callback(ordered=True)(lambda v: seen.append(float(v)), x))(2.0)
    fx.effects_barrier()
    assert seen == [2.0]
