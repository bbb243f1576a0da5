"""Chaos and disaster-recovery drills for multi-cluster Kubernetes."""

from importlib.metadata import version

__version__ = version("blackstart")
