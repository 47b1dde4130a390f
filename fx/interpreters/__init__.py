"""`fx.interpreters`: rules of primitives under JAX's module names (`ad`, `batching`)."""

from fx.interpreters import ad as ad
from fx.interpreters import batching as batching
