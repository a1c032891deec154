"""Pure decisions: from frozen data to frozen data; no I/O, no clock, no randomness."""
