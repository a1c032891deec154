"""The demo: one YAML file to an answered query, on real parts. `python -m demo --help`."""
