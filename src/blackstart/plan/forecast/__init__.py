"""The forecast: from settings that are read before a drill, what its clients should feel."""
