"""fx.optim: gradient transformations with optax's names, so that code written for it reads the
same.
"""

from fx import losses as losses
from fx.optim import schedules as schedules
from fx.optim.base import *  # noqa: F403
from fx.optim.clipping import *  # noqa: F403
from fx.optim.combine import *  # noqa: F403
from fx.optim.lbfgs import *  # noqa: F403
from fx.optim.moments import *  # noqa: F403
from fx.optim.optimizers import *  # noqa: F403
from fx.optim.schedules import *  # noqa: F403
from fx.optim.transforms import *  # noqa: F403
from fx.optim.wrappers import *  # noqa: F403
