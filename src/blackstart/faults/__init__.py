"""One file per fault: capture, apply, confirm, revert, confirm."""
