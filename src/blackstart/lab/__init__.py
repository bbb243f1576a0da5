"""Fleets made of local processes (native) or of kind clusters."""
