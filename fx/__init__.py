"""Composable transformations of array programs (grad, vmap, jit), lowered to fused OpenCL kernels."""

from __future__ import annotations

from fx import prims as prims
from fx import printer as printer
from fx import tree as tree
from fx import tree_util as tree_util
from fx.array import Array as Array
from fx.avals import float0 as float0
from fx.config import config as config
from fx.core import typeof as typeof
from fx.grad import fwd_and_bwd as fwd_and_bwd
from fx.grad import grad as grad
from fx.grad import linear_transpose as linear_transpose
from fx.grad import linearize as linearize
from fx.grad import value_and_grad as value_and_grad
from fx.grad import vjp as vjp
from fx.jit import jit as jit
from fx.jvp import jvp as jvp
from fx.vmap import vmap as vmap
