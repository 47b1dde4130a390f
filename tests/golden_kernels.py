"""Forty functions whose kernels are kept as text, one file each in tests/golden.

`python tests/golden_kernels.py` writes the files; their diff shows what a change of the lowering
does. Elementary functions and typedefs are left out: mathlib's tests have those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fx
import fx.numpy as jnp
from fx import lax, nn
from lowering.plan import Plan
from lowering.profile import AVX2, AVX512, GPU, Profile

FOLDER = Path(__file__).parent / "golden"
PROFILES = {"avx2": AVX2, "avx512": AVX512, "gpu": GPU}


def f(*shape: int) -> Any:
    return fx.ShapeDtypeStruct(shape, np.float32)


def i(*shape: int) -> Any:
    return fx.ShapeDtypeStruct(shape, np.int32)


def _decay(x: Any) -> Any:
    return lax.fori_loop(0, 100, lambda _, y: y * 0.5 + jnp.sin(y), x)


def _lorenz(p: Any) -> Any:
    def step(p: Any, _: Any) -> Any:
        x, y, z = p
        d = jnp.stack([10 * (y - x), x * (28 - z) - y, x * y - z * 8 / 3])
        return p + 0.01 * d, None

    return lax.scan(step, p, None, length=50)[0]


def _heat(u: Any) -> Any:
    def step(u: Any, _: Any) -> Any:
        p = jnp.pad(u, 1)
        near = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]
        return u + 0.1 * (near - 4 * u), None

    return lax.scan(step, u, None, length=20)[0]


def _count(x: Any) -> Any:
    return lax.while_loop(lambda c: c[0] < 1e3, lambda c: (c[0] * 1.5 + 1, c[1] + 1), (x, 0))


def _layer_norm(x: Any, g: Any, b: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * g + b


ROW = (f(512, 768), f(768), f(768))

# name: function, arguments
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "add_exp": (lambda x, y: jnp.exp(x + y) - x, (f(4096), f(4096))),
    "odd_length": (lambda x: x * 2 + 1, (f(1001),)),
    "chain_of_twenty": (lambda x: sum((jnp.sin(x * k) for k in range(1, 11)), x), (f(65536),)),
    "broadcast_row_and_column": (lambda x, r, c: x * r + c, (f(64, 96), f(96), f(64, 1))),
    "transpose": (lambda x: x.T + 1, (f(256, 128),)),
    "slices_and_reverse": (lambda x: x[1:-1] - x[:-2][::-1], (f(4096),)),
    "pad": (lambda x: jnp.pad(x, ((1, 2), (0, 3))), (f(30, 40),)),
    "concatenate": (lambda x, y: jnp.concatenate([x, y]) * 2, (f(100, 8), f(28, 8))),
    "select_by_mask": (lambda x: jnp.where(x > 0, x, 0.1 * x), (f(8192),)),
    "half_precision": (lambda x: (x * x).astype(jnp.float32), (
        fx.ShapeDtypeStruct((4096,), jnp.bfloat16),)),
    "integers": (lambda x: (x // 3) % 7 << 2, (i(4096),)),
    "complex_product": (lambda x, y: x * y, (fx.ShapeDtypeStruct((1024,), np.complex64),) * 2),
    "sum_of_all": (jnp.sum, (f(1 << 20),)),
    "sum_of_rows": (lambda x: x.sum(1), (f(1024, 1024),)),
    "sum_of_columns": (lambda x: x.sum(0), (f(1024, 1024),)),
    "mean_and_variance": (lambda x: (x.mean(-1), x.var(-1)), (f(512, 256),)),
    "argmax": (lambda x: jnp.argmax(x, -1), (f(256, 1024),)),
    "cumsum": (lambda x: jnp.cumsum(x, -1), (f(256, 1024),)),
    "softmax": (lambda x: nn.softmax(x, axis=-1), (f(512, 1024),)),
    "logsumexp": (lambda x: nn.logsumexp(x, axis=-1), (f(512, 1024),)),
    "layer_norm": (_layer_norm, ROW),
    "layer_norm_gradient": (
        fx.grad(lambda x, g, b: (_layer_norm(x, g, b) ** 2).sum(), (0, 1, 2)), ROW),
    "gradient_of_chain": (
        fx.grad(lambda x: jnp.sum(jnp.tanh(x) * nn.sigmoid(x))), (f(65536),)),
    "product": (jnp.matmul, (f(256, 256), f(256, 256))),
    "product_bias_gelu": (lambda x, w, b: nn.gelu(x @ w + b), (f(128, 192), f(192, 256), f(256))),
    "product_transposed": (lambda x, y: x.T @ y, (f(128, 64), f(128, 96))),
    "matrix_times_vector": (jnp.matmul, (f(512, 512), f(512))),
    "batched_small_products": (jnp.matmul, (f(256, 16, 16), f(256, 16, 16))),
    "outer_product": (jnp.outer, (f(300), f(200))),
    "convolution": (
        lambda x, w: lax.conv(x, w, (1, 1), "SAME"), (f(2, 8, 16, 16), f(16, 8, 3, 3))),
    "convolution_and_pool": (
        lambda x, w: nn.max_pool(nn.relu(lax.conv(x, w, (1, 1), "SAME")), (1, 2)),
        (f(2, 8, 16, 16), f(16, 8, 3, 3))),
    "max_pool": (lambda x: nn.max_pool(x, (2, 2), (2, 2)), (f(4, 16, 16, 8),)),
    "gather_rows": (lambda t, k: t[k], (f(1000, 64), i(128))),
    "scatter_add_rows": (lambda t, k, u: t.at[k].add(u), (f(1000, 64), i(128), f(128, 64))),
    "segment_sum": (lambda x, k: fx.ops.segment_sum(x, k, 10), (f(4096), i(4096))),
    "random_uniform": (lambda k: fx.random.uniform(k, (4096,)), (
        fx.ShapeDtypeStruct((2,), np.uint32),)),
    "loop_per_lane": (_decay, (f(4096),)),
    "ode_of_three": (_lorenz, (f(3, 1024),)),
    "stencil_in_a_loop": (_heat, (f(64, 64),)),
    "while_of_lanes": (fx.vmap(_count), (f(1024),)),
    "attention": (
        lambda q, k, v: nn.softmax(q @ k.swapaxes(-1, -2) / 8, axis=-1) @ v, (f(4, 64, 64),) * 3),
}  # fmt: skip

# all on AVX2; these on other devices as well
ALSO = {
    "avx512": ("add_exp", "softmax", "product", "ode_of_three"),
    "gpu": ("add_exp", "sum_of_rows", "softmax", "product", "loop_per_lane"),
}


def names() -> list[str]:
    """Every golden file's name without its ending."""
    return [*FUNCTIONS, *(f"{name}.{device}" for device, some in ALSO.items() for name in some)]


def plan(name: str) -> Plan:
    """What the file is of."""
    from benchmarks.driverless import lower_function

    base, _, device = name.partition(".")
    profile: Profile = PROFILES[device or "avx2"]
    function, arguments = FUNCTIONS[base]
    return lower_function(function, arguments, profile=profile).plan


def text(name: str) -> str:
    """What the file should hold: the launches, then each program's stages."""
    of = plan(name)
    parts = [f"// launches: {of.launches}, programs: {len(of.programs)}"]
    parts += [_stages(program.source) for program in of.programs]
    return "\n\n".join(parts) + "\n"


def _stages(source: str) -> str:
    """The text from the first stage on; what stands before are elementary functions."""
    heads = [
        k for mark in ("FX_PART void", "FX_STAGE void", "__kernel") if (k := source.find(mark)) >= 0
    ]
    return source[min(heads) :].strip()


def main() -> None:
    """Writes every file."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.cl"):
        old.unlink()
    for name in names():
        (FOLDER / f"{name}.cl").write_text(text(name))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
