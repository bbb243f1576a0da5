"""The hash-chained record of a run, and the undo store."""
