"""Lint of replicated databases: what proves, without breaking anything, that writes will be lost."""
