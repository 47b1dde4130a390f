"""`fx.ad_checkpoint`: checkpoint, names for its policies, and a look at what
differentiation saves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fx.checkpoint_policies import Offloadable as Offloadable
from fx.checkpoint_policies import Policy as Policy
from fx.checkpoint_policies import Recompute as Recompute
from fx.checkpoint_policies import Saveable as Saveable
from fx.prims.naming import name_p
from fx.remat import checkpoint as checkpoint
from fx.remat import checkpoint_policies as checkpoint_policies
from fx.remat import remat as remat
from fx.trace import saved_residuals as saved_residuals
from fx.tree_util import tree_map


def checkpoint_name(x: Any, name: str) -> Any:
    """The value(s) `x`, under a name that policies like save_only_these_names know."""
    return tree_map(lambda leaf: name_p.bind(leaf, name=name), x)


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print what reverse mode saves for `f` at these arguments, one array a line.

    Each line has the dtype and shape, and where the value comes from; see `saved_residuals`.
    """
    for aval, source in saved_residuals(f, *args, **kwargs):
        print(f"{aval.str_short()} {source}")
