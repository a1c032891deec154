"""Measurements, each against the limit or peer that matters, both sides in the same run."""
