"""The real parts that the tests run against: a cluster, vector stores, object storage."""
