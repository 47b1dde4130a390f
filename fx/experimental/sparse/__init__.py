"""Sparse arrays: by coordinates (BCOO), by rows (BCSR), derivatives by their stored values, and
`sparsify`, which runs functions written for dense arrays on them.
"""

from __future__ import annotations

from fx.experimental.sparse.base import JAXSparse
from fx.experimental.sparse.coordinates import (
    BCOO,
    bcoo_broadcast_in_dim,
    bcoo_concatenate,
    bcoo_dot_general,
    bcoo_extract,
    bcoo_fromdense,
    bcoo_multiply_dense,
    bcoo_multiply_sparse,
    bcoo_reduce_sum,
    bcoo_reshape,
    bcoo_sort_indices,
    bcoo_sum_duplicates,
    bcoo_todense,
    bcoo_transpose,
    bcoo_update_layout,
    empty,
    eye,
    random_bcoo,
    todense,
)
from fx.experimental.sparse.derivatives import grad, jacfwd, jacrev, value_and_grad
from fx.experimental.sparse.rows import (
    BCSR,
    bcsr_concatenate,
    bcsr_dot_general,
    bcsr_extract,
    bcsr_fromdense,
    bcsr_sum_duplicates,
    bcsr_todense,
)
from fx.experimental.sparse.slices import bcoo_rev, bcoo_slice, bcoo_squeeze
from fx.experimental.sparse.sparsified import sparsify

__all__ = [
    "BCOO",
    "BCSR",
    "JAXSparse",
    "bcoo_broadcast_in_dim",
    "bcoo_concatenate",
    "bcoo_dot_general",
    "bcoo_extract",
    "bcoo_fromdense",
    "bcoo_multiply_dense",
    "bcoo_multiply_sparse",
    "bcoo_reduce_sum",
    "bcoo_reshape",
    "bcoo_rev",
    "bcoo_slice",
    "bcoo_sort_indices",
    "bcoo_squeeze",
    "bcoo_sum_duplicates",
    "bcoo_todense",
    "bcoo_transpose",
    "bcoo_update_layout",
    "bcsr_concatenate",
    "bcsr_dot_general",
    "bcsr_extract",
    "bcsr_fromdense",
    "bcsr_sum_duplicates",
    "bcsr_todense",
    "empty",
    "eye",
    "grad",
    "jacfwd",
    "jacrev",
    "random_bcoo",
    "sparsify",
    "todense",
    "value_and_grad",
]
