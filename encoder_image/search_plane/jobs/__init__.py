"""Build and refresh: make a release's collection equal to the catalogue, embedding only what changed."""
