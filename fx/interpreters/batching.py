"""`fx.interpreters.batching`: batching rules of primitives, as (axis, args, dims, **params)."""

from fx.interpreters.tables import RuleTable

primitive_batchers = RuleTable("batch")
axis_primitive_batchers = primitive_batchers
