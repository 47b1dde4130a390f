"""Batching of functions with custom derivative rules: the function and its rules are batched
together.

All of them must agree on which outputs are mapped (along axis 0); the cotangent of an argument
that is not mapped is summed over the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fx import core
from fx.avals import ShapedArray, float0
from fx.core import PRIMITIVES, AxisData, ClosedJaxpr, Primitive, Zero, set_trace
from fx.custom_rules import (
    CustomRules,
    custom_jvp_call_p,
    custom_vjp_call_p,
    record_rules,
    with_consts,
)
from fx.vmap import batch_flat, batch_jaxpr, place_axis


def _batch_of(p: Primitive) -> Callable[..., Any]:
    def batch(
        trace: Any, vals: Sequence[Any], dims: Sequence[int | None], params: dict[str, Any]
    ) -> list[Any]:
        if "rules" in params:
            with set_trace(trace):
                args = [trace.wrap(v, d) for v, d in zip(vals, dims)]
                params, operands = record_rules(params["rules"], args)
            pairs = [trace.unwrap(x) for x in operands]
            vals, dims = [v for v, _ in pairs], [d for _, d in pairs]
        if all(d is None for d in dims) and trace.axis.name is None:
            return p.bind(*vals, **params)
        make = batch_params if params["lazy"] is None else _batch_lazy
        batched, out_dims, consts = make(trace.axis, dims, params)
        outs = p.bind(*consts, *vals, **batched)
        return [trace.wrap(o, d) for o, d in zip(outs, out_dims, strict=True)]

    return batch


def batch_params(
    axis: Any, dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[dict[str, Any], list[int | None], list[Any]]:
    """The rules on batches, which all agree on which outputs are mapped (along axis 0); where
    these are; and constants that the rules take before all other operands.
    """
    call, jvp, fwd = params["call_jaxpr"], params["jvp_jaxpr"], params["fwd_jaxpr"]
    n_out = len(call.out_avals)
    mapped = [d is not None for d in batch_jaxpr(call, axis, dims)[1]]
    arg_dims = list(dims[params["num_consts"] :])
    arg_avals = call.in_avals[params["num_consts"] :]
    if jvp is not None:
        tangent_dims = [
            d for d, a in zip(arg_dims, arg_avals) if a.to_tangent_aval().dtype != float0
        ]
        jvp_dims = [*dims, *tangent_dims]
        found = batch_jaxpr(jvp, axis, jvp_dims)[1]
        tangents = iter(found[n_out:])
        for k, nz in enumerate(params["jvp_nonzero"]):
            mapped[k] |= found[k] is not None
            mapped[k] |= nz and next(tangents) is not None
    if fwd is not None:
        found = batch_jaxpr(fwd, axis, dims)[1]
        mapped = [m or d is not None for m, d in zip(mapped, found)]
    out_dims: list[int | None] = [0 if m else None for m in mapped]
    made = {"call_jaxpr": batch_jaxpr(call, axis, dims, out_dims)[0]}
    if jvp is not None:
        forced = out_dims + [d for d, nz in zip(out_dims, params["jvp_nonzero"]) if nz]
        made["jvp_jaxpr"] = batch_jaxpr(jvp, axis, jvp_dims, forced)[0]
    if fwd is not None:
        free: list[int | None] = [None] * (len(fwd.out_avals) - n_out)
        new_fwd, fwd_dims = batch_jaxpr(fwd, axis, dims, out_dims + free)
        ct_dims = [
            d for d, a in zip(out_dims, call.out_avals) if a.to_tangent_aval().dtype != float0
        ]
        bwd_dims = [*dims[: params["num_consts"]], *fwd_dims[n_out:], *ct_dims]
        wanted = [d for d, nz in zip(arg_dims, params["bwd_nonzero"]) if nz]
        made["fwd_jaxpr"] = new_fwd
        made["bwd_jaxpr"] = _batch_bwd(params["bwd_jaxpr"], axis, bwd_dims, wanted)
    result, consts = _share_consts(params, made)
    return result, out_dims, consts


def _batch_bwd(
    bwd: ClosedJaxpr, axis: Any, dims: Sequence[int | None], wanted: Sequence[int | None]
) -> ClosedJaxpr:
    """bwd on batches; the cotangent of an argument that is not mapped is summed over the batch."""
    batched, found = batch_jaxpr(bwd, axis, dims, list(wanted))

    def fun(*args: Any) -> list[Any]:
        outs = core.eval_jaxpr(batched.jaxpr, batched.consts, *args)
        return [
            PRIMITIVES["reduce_sum"].bind(o, axes=(d,)) if w is None and d is not None else o
            for o, d, w in zip(outs, found, wanted, strict=True)
        ]

    return core.close(fun, batched.in_avals)


def _share_consts(
    params: dict[str, Any], made: dict[str, ClosedJaxpr]
) -> tuple[dict[str, Any], list[Any]]:
    """The params with new jaxprs, and the constants of all these (arrays that batching rules
    made), which become the first operands of each.
    """
    found = {id(c): c for closed in made.values() for c in closed.consts}
    if not found:
        return {**params, **made}, []
    consts, order = list(found.values()), {k: i for i, k in enumerate(found)}
    shared = {k: with_consts(c.jaxpr, c.consts, consts, order) for k, c in made.items()}
    return {**params, **shared, "num_consts": params["num_consts"] + len(consts)}, consts


# ---------------------------------------------------------------- calls inside their own rule


def _batch_lazy(
    axis: AxisData, dims: Sequence[int | None], params: dict[str, Any]
) -> tuple[dict[str, Any], list[int | None], list[Any]]:
    call = params["call_jaxpr"]
    out_dims: list[int | None] = [0] * len(call.out_avals)
    rules = _BatchedRules(params["lazy"], axis, list(dims[params["num_consts"] :]))
    made = {"call_jaxpr": batch_jaxpr(call, axis, dims, True)[0]}
    result, consts = _share_consts({**params, "lazy": rules}, made)
    return result, out_dims, consts


class _BatchedRules(CustomRules):
    """Python rules, mapped over an axis: arguments at `dims`, all outputs at 0."""

    def __init__(self, inner: CustomRules, axis: AxisData, dims: list[int | None]):
        self.inner, self.axis, self.dims = inner, axis, dims
        self.name, self.owner = inner.name, inner.owner
        self.has_jvp, self.has_vjp = inner.has_jvp, inner.has_vjp

    def _map(
        self, fun: Callable[..., Any], vals: Sequence[Any], dims: Sequence[int | None]
    ) -> tuple[list[Any], list[int | None]]:
        """Map over values among which Zeros stand; results may hold Zeros, which are not mapped."""
        live = [k for k, v in enumerate(vals) if type(v) is not Zero]
        zeros = {
            k: Zero(_unbatched(v.aval, d))
            for k, (v, d) in enumerate(zip(vals, dims))
            if type(v) is Zero
        }
        shape: list[Any] = []

        def flat(*given: Any) -> list[Any]:
            full = dict(zip(live, given)) | zeros
            outs = fun([full[k] for k in range(len(vals))])
            shape[:] = [o if type(o) is Zero else None for o in outs]
            return [o for o in outs if type(o) is not Zero]

        outs, out_dims = batch_flat(
            flat, self.axis, [vals[k] for k in live], [dims[k] for k in live]
        )
        pairs = iter(zip(outs, out_dims))
        full = [(z, None) if z is not None else next(pairs) for z in shape]
        return [v for v, _ in full], [d for _, d in full]

    def _at_zero(self, x: Any, dim: int | None) -> Any:
        if type(x) is Zero:
            return Zero(x.aval.update(shape=(self.axis.size, *x.aval.shape)))
        return place_axis(x, dim, self.axis.size, 0)

    def call(self, *leaves: Any) -> list[Any]:
        outs, dims = self._map(lambda xs: self.inner.call(*xs), leaves, self.dims)
        return [self._at_zero(o, d) for o, d in zip(outs, dims)]

    def jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        n = len(primals)

        def rule(flat: list[Any]) -> list[Any]:
            outs, ts = self.inner.jvp(flat[:n], flat[n:])
            return [*outs, *ts]

        outs, dims = self._map(rule, [*primals, *tangents], [*self.dims, *self.dims])
        placed = [self._at_zero(o, d) for o, d in zip(outs, dims)]
        return placed[: len(placed) // 2], placed[len(placed) // 2 :]

    def fwd(
        self, primals: Sequence[Any], perturbed: Sequence[bool]
    ) -> tuple[list[Any], list[Any], Any]:
        found: list[Any] = []

        def rule(flat: list[Any]) -> list[Any]:
            outs, residuals, key = self.inner.fwd(flat, perturbed)
            found[:] = len(outs), key
            return [*outs, *residuals]

        outs, dims = self._map(rule, primals, self.dims)
        n, key = found
        placed = [self._at_zero(o, d) for o, d in zip(outs[:n], dims)]
        return placed, outs[n:], (key, dims[n:])

    def bwd(
        self, key: Any, residuals: Sequence[Any], cts: Sequence[Any], avals: Sequence[Any]
    ) -> list[Any]:
        inner_key, dims = key
        n = len(residuals)
        inner_avals = [_unbatched(a, d) for a, d in zip(avals, self.dims)]

        def rule(flat: list[Any]) -> list[Any]:
            return self.inner.bwd(inner_key, flat[:n], flat[n:], inner_avals)

        outs, out_dims = self._map(rule, [*residuals, *cts], [*dims, *([0] * len(cts))])
        results = []
        for o, d, wanted, aval in zip(outs, out_dims, self.dims, avals):
            if type(o) is Zero:
                results.append(Zero(aval.to_tangent_aval()))
            elif wanted is not None:
                results.append(place_axis(o, d, self.axis.size, wanted))
            else:
                summed = place_axis(o, d, self.axis.size, 0)
                results.append(PRIMITIVES["reduce_sum"].bind(summed, axes=(0,)))
        return results


def _unbatched(aval: ShapedArray, dim: int | None) -> ShapedArray:
    if dim is None:
        return aval
    return aval.update(shape=aval.shape[:dim] + aval.shape[dim + 1 :])


for _p in (custom_jvp_call_p, custom_vjp_call_p):
    _p.trace_rules["batch"] = _batch_of(_p)
