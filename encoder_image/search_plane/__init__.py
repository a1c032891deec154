"""The data plane: encoder server, search gateway, and the jobs that fill a release."""
