"""fx.scipy.cluster: vector quantisation."""

from fx.scipy.cluster import vq as vq
