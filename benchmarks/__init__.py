"""Measures fx against JAX, NumPy and PyTorch: `python -m benchmarks --help`.

A row (benchmarks/rows) is one function of a library; the same text runs in fx and in JAX. Each
library runs in a process of its own (worker), the runner takes turns between them, the report
writes a table and a plot. Nothing here imports a library that is measured, but the worker.
"""
