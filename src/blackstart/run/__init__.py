"""A drill, from preflight to settle: supervisor, child, guards, clients, display."""
