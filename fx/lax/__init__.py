"""fx.lax: the primitives as functions, with exact dtypes and shapes, and control flow.

Python scalars take the other operand's dtype; nothing else is promoted. Every
module lists its names. `fx.lax.<name>_p` is the primitive of that name.
"""

from typing import Any as _Any

from fx.core import PRIMITIVES as _PRIMITIVES
from fx.former import missing as _missing
from fx.lax import linalg as linalg
from fx.lax.accuracy import *  # noqa: F403
from fx.lax.associative import *  # noqa: F403
from fx.lax.branches import *  # noqa: F403
from fx.lax.compare import *  # noqa: F403
from fx.lax.composites import *  # noqa: F403
from fx.lax.convert import *  # noqa: F403
from fx.lax.convolution import *  # noqa: F403
from fx.lax.elementwise import *  # noqa: F403
from fx.lax.fft import *  # noqa: F403
from fx.lax.loops import *  # noqa: F403
from fx.lax.parallel import *  # noqa: F403
from fx.lax.products import *  # noqa: F403
from fx.lax.ragged import *  # noqa: F403
from fx.lax.reductions import *  # noqa: F403
from fx.lax.rng import *  # noqa: F403
from fx.lax.shape import *  # noqa: F403
from fx.lax.slicing import *  # noqa: F403
from fx.lax.solvers import *  # noqa: F403
from fx.lax.sorting import *  # noqa: F403
from fx.lax.special import *  # noqa: F403
from fx.lax.windows import *  # noqa: F403
from fx.sharding import with_sharding_constraint as with_sharding_constraint

_OTHER_NAMES = {"linear_solve": "custom_linear_solve"}


def __getattr__(name: str) -> _Any:
    if name.endswith("_p"):
        stem = name[:-2]
        for found in (stem, stem.replace("_", "-"), _OTHER_NAMES.get(stem)):
            if found in _PRIMITIVES:
                return _PRIMITIVES[found]
    raise _missing("fx.lax", name)
