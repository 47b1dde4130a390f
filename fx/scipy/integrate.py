"""fx.scipy.integrate."""

from fx.numpy import trapezoid

__all__ = ["trapezoid"]
