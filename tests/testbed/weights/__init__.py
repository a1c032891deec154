"""Encoder artefacts for tests and the demo: real Chinese weights, and a tiny random stand-in."""
