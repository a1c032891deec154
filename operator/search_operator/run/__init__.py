"""The running operator: kopf's watches, the work queue, leadership, probes, metrics and settings."""
