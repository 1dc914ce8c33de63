"""A media server on Flask."""
