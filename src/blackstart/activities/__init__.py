"""The face towards Chaos Toolkit: thin, plain functions."""
