"""The encoder server: texts in, vectors of one fingerprint out."""
