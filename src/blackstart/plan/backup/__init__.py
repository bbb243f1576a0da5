"""Lint of backups: what proves, before anything is lost, that a restore cannot bring it back."""
