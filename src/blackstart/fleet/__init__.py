"""The model of fleet.yaml and the clients that reach its parts."""
