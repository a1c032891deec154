"""Tests that need torch: `make test-torch`. They are not part of `make test`."""
