"""The operator's own custom-metrics API: tokens in flight per encoder, for the HPA controller."""
