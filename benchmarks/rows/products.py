"""Extra rows: products of many shapes, layouts and types; `python -m benchmarks.products`."""

from __future__ import annotations

from math import prod

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal

PREFIX, SWEEP = "product_", "sweep_"


def operand(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of a type: normal ones, or small integers."""
    if np.dtype(dtype).kind in "iu":
        return np.random.default_rng(seed).integers(-9, 9, shape).astype(dtype)
    return normal(seed, *shape).astype(dtype)


def product(name: str, spec: str, sizes: dict[str, int], text, dtype: str = "float32", **facts):
    """A row for `text(np, a, b)`, whose operands' axes `spec` names."""
    left, right = spec.split("->")[0].split(",")
    shapes = [tuple(sizes[axis] for axis in side) for side in (left, right)]
    nbytes = np.dtype(dtype).itemsize * sum(map(prod, shapes))
    flops = 2.0 * prod(sizes[axis] for axis in set(left + right))
    what = f"{spec}, {shapes[0]} by {shapes[1]}" + (f", {dtype}" if dtype != "float32" else "")
    facts = {"tolerance": 1e-3, "numpy": True, "x64": dtype == "float64"} | facts

    @row(
        name if name.startswith(SWEEP) else PREFIX + name,
        what,
        nbytes=nbytes,
        flops=flops,
        extra=True,
        **facts,
    )
    def build(lib):
        args = (operand(0, shapes[0], dtype), operand(1, shapes[1], dtype))
        return Program(lambda a, b: text(lib.np, a, b), args)


TEXTS = {
    "nn": ("mk,kn->mn", lambda xp, a, b: a @ b),
    "tn": ("km,kn->mn", lambda xp, a, b: a.T @ b),
    "nt": ("mk,nk->mn", lambda xp, a, b: a @ b.T),
    "tt": ("km,nk->mn", lambda xp, a, b: a.T @ b.T),
}


def plain(name: str, m: int, n: int, k: int, form: str = "nn", dtype: str = "float32") -> None:
    """A product of two matrices."""
    spec, text = TEXTS[form]
    product(name, spec, {"m": m, "n": n, "k": k}, text, dtype)


# ---------------------------------------------------------------- squares

for n in (64, 128, 256, 512, 1024, 2048):
    for form in TEXTS:
        plain(f"{n}_{form}", n, n, n, form)
for n in (65, 96, 100, 192, 255, 384, 511, 768, 1000, 1023, 1537):
    plain(f"{n}_nn", n, n, n)

# ---------------------------------------------------------------- forty shapes, each four ways

SQUARES = (64, 72, 96, 100, 127, 128, 160, 192, 200, 255, 256, 320, 384, 500, 512, 600, 768, 1000)
OTHERS = (
    (64, 256, 1024), (64, 1000, 64), (96, 2048, 256), (100, 50, 700), (128, 512, 512),
    (256, 64, 256), (256, 512, 784), (257, 129, 1000), (300, 30, 300), (400, 1200, 100),
    (512, 768, 64), (512, 3072, 768), (784, 512, 256), (1000, 24, 500), (1000, 1000, 40),
    (1024, 64, 1024), (1024, 4096, 128), (2000, 100, 200), (2048, 256, 96), (4096, 32, 64),
)  # fmt: skip
for m, n, k in (*((n, n, n) for n in (*SQUARES, 1024, 2048)), *OTHERS):
    for form in TEXTS:
        plain(f"{SWEEP}{m}x{n}x{k}_{form}", m, n, k, form)

# ---------------------------------------------------------------- narrow, long and thin ones

for form in ("nn", "tn"):
    plain(f"matrix_vector_{form}", 4096, 1, 4096, form)
for form in ("nn", "nt"):
    plain(f"vector_matrix_{form}", 1, 4096, 4096, form)
plain("matrix_3", 4096, 3, 4096)
plain("3_matrix", 3, 4096, 4096)
plain("8_rows", 8, 4096, 4096)
plain("8_rows_nt", 8, 4096, 4096, "nt")
plain("8_columns", 4096, 8, 4096)
plain("8_columns_tn", 4096, 8, 4096, "tn")
plain("k_1", 2048, 2048, 1)
plain("k_8", 2048, 2048, 8)
plain("k_64k", 64, 64, 65536)
plain("k_64k_tn", 64, 64, 65536, "tn")
plain("dot_1m", 1, 1, 1 << 20)
plain("gram", 32, 32, 1 << 17, "tn")
plain("layer", 256, 512, 784)
plain("layer_weights", 784, 512, 256, "tn")
plain("layer_inputs", 256, 784, 512, "nt")
plain("logits", 256, 10, 512)

# ---------------------------------------------------------------- batches

matmul = lambda xp, a, b: a @ b
product("2048_of_16", "bmk,bkn->bmn", {"b": 2048, "m": 16, "n": 16, "k": 16}, matmul)
product("65536_of_4", "bmk,bkn->bmn", {"b": 65536, "m": 4, "n": 4, "k": 4}, matmul)
product("20000_of_3", "bmk,bkn->bmn", {"b": 20000, "m": 3, "n": 3, "k": 3}, matmul)
product("512_of_33", "bmk,bkn->bmn", {"b": 512, "m": 33, "n": 33, "k": 33}, matmul)
product("64_of_128", "bmk,bkn->bmn", {"b": 64, "m": 128, "n": 128, "k": 128}, matmul)
product("8_of_512", "bmk,bkn->bmn", {"b": 8, "m": 512, "n": 512, "k": 512}, matmul)
product("64_of_128_nt", "bmk,bnk->bmn", {"b": 64, "m": 128, "n": 128, "k": 128},
        lambda xp, a, b: a @ b.swapaxes(1, 2))  # fmt: skip
product("64_of_128_tn", "bkm,bkn->bmn", {"b": 64, "m": 128, "n": 128, "k": 128},
        lambda xp, a, b: a.swapaxes(1, 2) @ b)  # fmt: skip
product("shared_right", "bmk,kn->bmn", {"b": 32, "m": 64, "n": 256, "k": 256}, matmul)
product("shared_left", "mk,bkn->bmn", {"b": 32, "m": 64, "n": 256, "k": 256}, matmul)
product("batched_vectors", "bmk,bk->bm", {"b": 1024, "m": 64, "k": 64},
        lambda xp, a, b: (a @ b[..., None])[..., 0])  # fmt: skip
product("batched_dots", "bk,bk->b", {"b": 8192, "k": 256}, lambda xp, a, b: (a * b).sum(-1))
einsum = lambda spec: lambda xp, a, b: xp.einsum(spec, a, b)
for name, spec, sizes in (
    ("heads", "bqhd,bkhd->bhqk", {"b": 4, "q": 256, "h": 8, "d": 64, "k": 256}),
    ("heads_values", "bhqk,bkhd->bqhd", {"b": 4, "q": 256, "h": 8, "d": 64, "k": 256}),
    ("two_contracted", "ijk,jkl->il", {"i": 256, "j": 32, "k": 32, "l": 256}),
    ("crossed", "ijk,kjl->il", {"i": 256, "j": 32, "k": 32, "l": 256}),
    ("two_batches", "iajb,icjb->ijac", {"i": 8, "j": 8, "a": 64, "b": 64, "c": 64}),
    ("outer", "i,j->ij", {"i": 4096, "j": 4096}),
    ("bilinear", "bi,bj->ij", {"b": 4096, "i": 64, "j": 64}),
):
    product(name, spec, sizes, einsum(spec), numpy=False)

# ---------------------------------------------------------------- types

plain("512_f64", 512, 512, 512, dtype="float64")
plain("2048_f64", 1024, 1024, 1024, dtype="float64")
for dtype in ("float16", "int32", "int8"):
    product(f"512_{dtype}", "mk,kn->mn", {"m": 512, "n": 512, "k": 512}, matmul, dtype, numpy=False)


@row(f"{PREFIX}512_bf16", "bfloat16, 512^3", flops=2.0 * 512**3, extra=True, tolerance=1e-2)
def bfloat16(lib):
    def f(a, b):
        return (a.astype(lib.np.bfloat16) @ b.astype(lib.np.bfloat16)).astype(lib.np.float32)

    return Program(f, (normal(0, 512, 512), normal(1, 512, 512)))


@row(f"{PREFIX}512_complex", "complex64, 512^3", flops=8.0 * 512**3, extra=True, tolerance=1e-3)
def complex64(lib):
    def f(a, b, c, d):
        z = lib.lax.complex(a, b) @ lib.lax.complex(c, d)
        return z.real, z.imag

    return Program(f, tuple(normal(i, 512, 512) for i in range(4)))


@row(f"{PREFIX}vmapped_vector", "vmap of 512x512 by 256 vectors", flops=2.0 * 512**2 * 256,
     extra=True, tolerance=1e-3)  # fmt: skip
def vmapped(lib):
    return Program(
        lib.vmap(lambda a, b: a @ b, (None, 0)), (normal(0, 512, 512), normal(1, 256, 512))
    )
