"""Lint of Prometheus, Thanos and federation: what proves, without breaking anything, that a global view will lie."""
