"""Lint of mesh configuration: what proves, without breaking anything, that a failover cannot work."""
