"""The register tile: rows x vectors of sums over a block of k, a function that products share.

Its name says all: `tile_f32x8_6x2_l1k(` is 6 rows by 2 vectors of 8 floats, then how A's rows
(p: panels, l: one stride, t: a table), A's k (p: panels, 1: contiguous, k: one stride, o: a table)
and B's k (p, k) are walked. `source` writes the functions that a text calls, as `mathlib` does.
"""

from __future__ import annotations

import re

from lowering.product import Product

_CALL = re.compile(r"\btile_f(32|64)x(\d+)_(\d+)x(\d+)_([plt])([p1ko])([pk])(?=\()")


def name(form: Product, bits: int, width: int) -> str:
    """The function that computes a tile of `form` in vectors of `width` floats of `bits` bits."""
    a, b = form.a, form.b
    rows = "p" if a.packed else "t" if a.lane is None else "l"
    k = "p" if a.packed else "o" if a.k is None else "1" if a.k == 1 else "k"
    vectors = form.columns // width
    return f"tile_f{bits}x{width}_{form.rows}x{vectors}_{rows}{k}{'p' if b.packed else 'k'}"


def source(text: str) -> str:
    """The tile functions that `text` calls."""
    return "\n".join(_function(*call) for call in sorted(set(_CALL.findall(text))))


def _function(bits, width, rows, vectors, a_rows, a_k, b_k) -> str:
    """`t` = or += the products of k1 columns of A from `a` on, and k1 rows of B from `b` on."""
    w, m, v = int(width), int(rows), int(vectors)
    kind = "float" if bits == "32" else "double"
    vec = f"{kind}{w}" if w > 1 else kind
    sums = [[f"c{r}_{j}" for j in range(v)] for r in range(m)]
    head = f"tile_f{bits}x{width}_{rows}x{vectors}_{a_rows}{a_k}{b_k}"
    lines = [
        f"FX_STAGE void {head}(__global const {kind} *a, __global const {kind} *b,",
        "    const long a_lane, const int *ro, const int last, const long a_k, const int *ko,",
        f"    const long b_k, const int k1, {kind} *t, const int more) {{",
        "  #pragma OPENCL FP_CONTRACT ON",
        *(f"  {vec} {', '.join(f'{c} = 0' for c in row)};" for row in sums),
    ]
    for r in range(m):
        if a_rows == "t":
            lines.append(f"  const long l{r} = ro[{r}];")
        elif a_rows == "l" and r:
            lines.append(f"  const long l{r} = ({r} < last ? {r} : last) * a_lane;")
    a_step = {"p": str(m), "1": "1", "k": "a_k", "o": ""}[a_k]
    b_step = str(w * v) if b_k == "p" else "b_k"

    def step(u: int) -> list[str]:
        loads = [f"v{j} = *(__global const {vec}_u *)(b + {j * w})" for j in range(v)]
        out = [f"    {{ const {vec} {', '.join(loads)};"]
        for r, row in enumerate(sums):
            at = {"p": str(r), "1": "", "k": "", "o": f"ko[k + {u}]" if u else "ko[k]"}[a_k]
            at = " + ".join(
                x for x in (f"l{r}" if a_rows == "t" or (r and a_rows == "l") else "", at) if x
            )
            text = " ".join(f"{c} = x * v{j} + {c};" for j, c in enumerate(row))
            out.append(f"      {{ const {vec} x = ({vec})(a[{at or '0'}]); {text} }}")
        move = f" a += {a_step};" if a_step else ""
        return [*out, f"      b += {b_step};{move} }}"]

    # two steps an iteration: with one, PoCL keeps the sums in memory
    lines += ["  int k = 0;", "  for (; k + 2 <= k1; k += 2) {", *step(0), *step(1), "  }"]
    lines += ["  if (k1 & 1) {", *step(0), "  }"]
    for op, guard in (("+=", "if (more)"), ("=", "else")):
        puts = [
            f"*({vec} *)(t + {(r * v + j) * w}) {op} {c};"
            for r, row in enumerate(sums)
            for j, c in enumerate(row)
        ]
        lines.append(f"  {guard} {{ {' '.join(puts)} }}")
    return "\n".join([*lines, "}"])
