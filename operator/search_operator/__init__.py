"""The operator: one SemanticSearchIndex in, a running product search out."""

__version__ = "0.1.0"
