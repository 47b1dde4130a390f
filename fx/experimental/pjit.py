"""pjit where older programs import it from: jit."""

from fx.jit import jit as pjit
from fx.sharding import with_sharding_constraint as with_sharding_constraint

__all__ = ["pjit", "with_sharding_constraint"]
