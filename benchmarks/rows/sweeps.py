"""Extra rows, run by name or with --extra: row kernels and elementary functions."""

from __future__ import annotations

import numpy as np

from benchmarks.rows import Program, row
from benchmarks.rows.elementwise import normal, uniform

# ---------------------------------------------------------------- rows and columns


def over_rows(name: str, what: str, make, shape=(4096, 1024), passes: float = 2.0) -> None:
    """A row for a function of one [rows, columns] array."""
    nbytes = 4.0 * passes * np.prod(shape)

    @row(name, f"{what}, {shape[0]}x{shape[1]}", nbytes=nbytes, extra=True, tolerance=1e-3)
    def build(lib):
        return Program(make(lib), (normal(0, *shape),))


def gradient(lib, f):
    """The gradient of the sum of squares of f."""
    return lib.grad(lambda x: (f(x) ** 2).sum())


over_rows("log_softmax", "log_softmax", lambda lib: lambda x: lib.nn.log_softmax(x, axis=-1))
over_rows("logsumexp", "logsumexp", lambda lib: lambda x: lib.nn.logsumexp(x, axis=-1), passes=1)
over_rows("variance", "variance of rows", lambda lib: lambda x: x.var(-1), passes=1)
over_rows("column_sum", "sum of columns", lambda lib: lambda x: x.sum(0), passes=1)
over_rows("row_max", "max of rows", lambda lib: lambda x: x.max(-1), passes=1)
over_rows("cumsum_columns", "cumsum down columns", lambda lib: lambda x: lib.np.cumsum(x, axis=0))
over_rows("transpose", "copy of the transpose", lambda lib: lambda x: x.T + 0.0)
over_rows("softmax_grad", "gradient of softmax",
          lambda lib: gradient(lib, lambda x: lib.nn.softmax(x, axis=-1)))  # fmt: skip
over_rows("logsumexp_grad", "gradient of logsumexp",
          lambda lib: gradient(lib, lambda x: lib.nn.logsumexp(x, axis=-1)))  # fmt: skip
over_rows("cumsum_grad", "gradient of cumsum",
          lambda lib: gradient(lib, lambda x: lib.np.cumsum(x, axis=-1)))  # fmt: skip


# ---------------------------------------------------------------- elementary functions

for function in ("exp", "log", "sin", "tanh", "sqrt", "log1p", "expm1", "arctan"):

    @row(function, "4M", nbytes=8.0 * (1 << 22), extra=True, numpy=True)
    def build(lib, function=function):
        return Program(getattr(lib.np, function), (uniform(0, 0.1, 3, 1 << 22),))
