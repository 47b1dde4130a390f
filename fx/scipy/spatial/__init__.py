"""fx.scipy.spatial: rotations in space (`transform`)."""

from fx.scipy.spatial import transform as transform
