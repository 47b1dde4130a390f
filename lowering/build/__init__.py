"""Group to Nest: nodes at affine indices; whole loops as one nest."""
