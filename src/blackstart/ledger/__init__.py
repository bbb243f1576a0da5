"""Writers and readers of numbered writes."""
