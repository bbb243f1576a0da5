"""Pure: evidence to clock, objectives, score, verdict."""
