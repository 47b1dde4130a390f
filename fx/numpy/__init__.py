"""fx.numpy: NumPy's functions on fx arrays, with JAX's dtypes, weak types and bounds."""

from fx.numpy import ufuncs as _ufuncs
from fx.numpy.creation import *  # noqa: F403
from fx.numpy.einsum import *  # noqa: F403
from fx.numpy.joining import *  # noqa: F403
from fx.numpy.manipulation import *  # noqa: F403
from fx.numpy.methods import install as _install
from fx.numpy.products import *  # noqa: F403
from fx.numpy.reductions import *  # noqa: F403
from fx.numpy.scalar_types import *  # noqa: F403
from fx.numpy.searching import *  # noqa: F403
from fx.numpy.sorting import *  # noqa: F403
from fx.numpy.take import *  # noqa: F403
from fx.numpy.ufuncs import *  # noqa: F403
from fx.numpy.ufuncs_more import *  # noqa: F403

_install()
