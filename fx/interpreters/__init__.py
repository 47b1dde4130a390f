"""`fx.interpreters`: rules of primitives under JAX's module names."""

from fx.interpreters import ad as ad
from fx.interpreters import batching as batching
from fx.interpreters import mlir as mlir
from fx.interpreters import partial_eval as partial_eval
from fx.interpreters import xla as xla
