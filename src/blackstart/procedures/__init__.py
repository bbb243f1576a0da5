"""One file per kind of step: what people or automation do to recover, and to go home again."""
