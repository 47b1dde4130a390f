"""What this machine can do at most: bytes a second of a copy, operations a second of a product.

Measured in the run whose rows are compared with it; the best of several tries counts.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np


@dataclass
class Roofline:
    """GB/s read and written by a copy on all cores, GF/s of NumPy's float32 product."""

    copy: float = 0.0
    product: float = 0.0

    def measure(self, tries: int = 5) -> None:
        """Raises the two figures to the best of `tries` more tries."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        source = np.ones((cores, 1 << 24), np.float32)
        target = np.zeros_like(source)
        a = np.ones((1024, 1024), np.float32)
        with ThreadPoolExecutor(cores) as pool:
            for _ in range(tries):
                start = time.perf_counter()
                list(pool.map(np.copyto, target, source))
                seconds = time.perf_counter() - start
                self.copy = max(self.copy, 2 * source.nbytes / seconds / 1e9)
                start = time.perf_counter()
                a @ a
                self.product = max(self.product, 2 * 1024**3 / (time.perf_counter() - start) / 1e9)

    def limit_ms(self, nbytes: float, flops: float) -> float:
        """The time that bytes or operations cost at these speeds, whichever is longer."""
        return max(nbytes / self.copy / 1e6, flops / self.product / 1e6)
