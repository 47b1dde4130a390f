"""Elementary functions as vectorisable OpenCL C, written once for every element type and width.

`source(needed(text))` is what a kernel's text needs in front of it. `BOUNDS` states the errors.
"""

from lowering.mathlib.source import BOUNDS, calls, function_name, needed, source

__all__ = ["BOUNDS", "calls", "function_name", "needed", "source"]
