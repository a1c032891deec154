"""Pure functions from a spec and a release to Kubernetes objects, in the API server's own canonical form."""
