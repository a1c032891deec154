"""Commands for people and CI; the operator itself takes none."""
