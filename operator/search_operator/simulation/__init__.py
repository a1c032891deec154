"""A year of traffic through autoscaler, pre-warm windows and guard in simulated time: the operator's own functions."""
