"""Composable transformations of array programs (grad, vmap, jit), lowered to fused OpenCL kernels.

`import fx, fx.numpy as fnp` reads like JAX: `fx.grad`, `fx.jit`, `fx.vmap`. Importing touches no
driver; the larger surfaces (scipy, optim, nn, random, ...) load when first used.
"""

from __future__ import annotations

import importlib as _importlib
from typing import Any as _Any

from fx import eager_loops as eager_loops
from fx import prims as prims
from fx import printer as printer
from fx import tree as tree
from fx import tree_util as tree_util
from fx.array import Array as Array
from fx.array import counters as counters
from fx.array import set_num_threads as set_num_threads
from fx.avals import float0 as float0
from fx.config import check_tracer_leaks as check_tracer_leaks
from fx.config import checking_leaks as checking_leaks
from fx.config import config as config
from fx.config import debug_infs as debug_infs
from fx.config import debug_key_reuse as debug_key_reuse
from fx.config import debug_nans as debug_nans
from fx.config import default_matmul_precision as default_matmul_precision
from fx.config import default_prng_impl as default_prng_impl
from fx.config import disable_jit as disable_jit
from fx.config import enable_checks as enable_checks
from fx.config import enable_custom_prng as enable_custom_prng
from fx.config import enable_x64 as enable_x64
from fx.config import explain_cache_misses as explain_cache_misses
from fx.config import legacy_prng_key as legacy_prng_key
from fx.config import log_compiles as log_compiles
from fx.config import no_tracing as no_tracing
from fx.config import numpy_dtype_promotion as numpy_dtype_promotion
from fx.config import numpy_rank_promotion as numpy_rank_promotion
from fx.config import softmax_custom_jvp as softmax_custom_jvp
from fx.config import threefry_partitionable as threefry_partitionable
from fx.config import transfer_guard as transfer_guard
from fx.config import transfer_guard_device_to_device as transfer_guard_device_to_device
from fx.config import transfer_guard_device_to_host as transfer_guard_device_to_host
from fx.config import transfer_guard_host_to_device as transfer_guard_host_to_device
from fx.core import typeof as typeof
from fx.custom import closure_convert as closure_convert
from fx.custom import custom_gradient as custom_gradient
from fx.custom import custom_jvp as custom_jvp
from fx.custom import custom_vjp as custom_vjp
from fx.devices import block_until_ready as block_until_ready
from fx.devices import copy_to_host_async as copy_to_host_async
from fx.devices import default_backend as default_backend
from fx.devices import default_device as default_device
from fx.devices import device_count as device_count
from fx.devices import device_get as device_get
from fx.devices import device_put as device_put
from fx.devices import devices as devices
from fx.devices import effects_barrier as effects_barrier
from fx.devices import local_device_count as local_device_count
from fx.devices import local_devices as local_devices
from fx.former import missing as _missing
from fx.grad import fwd_and_bwd as fwd_and_bwd
from fx.grad import grad as grad
from fx.grad import linear_transpose as linear_transpose
from fx.grad import linearize as linearize
from fx.grad import value_and_grad as value_and_grad
from fx.grad import vjp as vjp
from fx.jacobian import hessian as hessian
from fx.jacobian import hvp as hvp
from fx.jacobian import jacfwd as jacfwd
from fx.jacobian import jacobian as jacobian
from fx.jacobian import jacrev as jacrev
from fx.jit import clear_caches as clear_caches
from fx.jit import jit as jit
from fx.jvp import jvp as jvp
from fx.remat import checkpoint as checkpoint
from fx.remat import checkpoint_policies as checkpoint_policies
from fx.remat import remat as remat
from fx.scopes import named_call as named_call
from fx.scopes import named_scope as named_scope
from fx.trace import ShapeDtypeStruct as ShapeDtypeStruct
from fx.trace import ensure_compile_time_eval as ensure_compile_time_eval
from fx.trace import eval_shape as eval_shape
from fx.trace import make_jaxpr as make_jaxpr
from fx.trace import used_inputs as used_inputs
from fx.vmap import vmap as vmap

# isort: split
from fx import lax as lax  # the surfaces last: they stand on all of the above
from fx import numpy as numpy

__version__ = "0.1.0"
__version_info__ = (0, 10, 0)  # of the JAX whose semantics these are, for programs that ask

# name -> the module it is taken from at first use; None: the name is that module
_LATE = {
    **dict.fromkeys(
        (
            "ad_checkpoint",
            "tape",
            "diagnostics",
            "curvature",
            "attribution",
            "custom_batching",
            "custom_derivatives",
            "debug",
            "dlpack",
            "distributed",
            "dtypes",
            "errors",
            "example_libraries",
            "experimental",
            "flatten_util",
            "image",
            "interpreters",
            "extend",
            "api_util",
            "losses",
            "monitoring",
            "nn",
            "ops",
            "optim",
            "profiler",
            "random",
            "scipy",
            "sharding",
            "stages",
            "test_util",
            "testing",
            "ref",
            "typing",
            "version",
        )
    ),
    **dict.fromkeys(("Dual", "Tape", "Variable", "no_grad"), "tape"),
    **dict.fromkeys(
        ("empirical_fisher", "fisher_diag", "forward_gradient", "ggn_product", "laplacian"),
        "curvature",
    ),
    "per_example_grads": "curvature",
    **dict.fromkeys(
        ("dependence", "grad_times_input", "guided_relu", "integrated_gradients"), "attribution"
    ),
    **dict.fromkeys(("saliency", "smooth_grad"), "attribution"),
    **dict.fromkeys(("first_not_finite", "global_norm", "leaf_statistics"), "diagnostics"),
    **dict.fromkeys(("check_grads", "numerical_grad"), "testing"),
    **dict.fromkeys(
        ("NamedSharding", "P", "Shard", "make_mesh", "reshard", "set_mesh"), "sharding"
    ),
    **dict.fromkeys(
        (
            "make_array_from_callback",
            "make_array_from_process_local_data",
            "make_array_from_single_device_arrays",
        ),
        "sharding",
    ),
    **dict.fromkeys(("pmap", "print_environment_info", "shard_map"), "parallel"),
    **dict.fromkeys(
        ("host_count", "host_id", "host_ids", "process_count", "process_index", "process_indices"),
        "parallel",
    ),
    **dict.fromkeys(("Ref", "ds", "empty_ref", "free_ref", "freeze", "new_ref"), "ref"),
    "Device": "devices",
    **dict.fromkeys(
        ("jacobian_pattern", "sparse_hessian", "sparse_jacobian"), "experimental.colouring"
    ),
    "explain": "debug",
    "fixed_point": "implicit",
    "io_callback": "callbacks",
    "live_arrays": "devices",
    "opencl_call": "opencl",
    "pure_callback": "callbacks",
}


def __getattr__(name: str) -> _Any:
    if name not in _LATE:
        raise _missing("fx", name)
    module = _LATE[name]
    if module is None:
        return _importlib.import_module(f"fx.{name}")
    return getattr(_importlib.import_module(f"fx.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE})
