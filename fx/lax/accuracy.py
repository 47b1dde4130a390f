"""How exact a function of one operand is to be, in JAX's words. There is one implementation, whose
bounds hold for every one of these; `accuracy=` changes nothing.
"""

from __future__ import annotations

import enum

__all__ = ["AccuracyMode", "Tolerance"]


class Tolerance:
    """Errors that are admitted, `atol` and one of `rtol` and `ulps`; ValueError for negative ones
    and where all are zero.
    """

    def __init__(self, atol: float = 0.0, rtol: float = 0.0, ulps: int = 0):
        if atol < 0 or rtol < 0 or ulps < 0:
            raise ValueError("Tolerances must be non-negative.")
        if not (atol or rtol or ulps):
            raise ValueError("At least one of atol, rtol, or ulps must be set.")
        self.atol, self.rtol, self.ulps = atol, rtol, ulps


class AccuracyMode(enum.Enum):
    """How exact elementary functions shall be: as exact as they come, or as usual.

    Taken for programs that ask; every function has one implementation, of a few ulps.
    """

    HIGHEST = 1
    DEFAULT = 2
