"""A drill's phases: supervisor, child, preflight, guards, recover."""
