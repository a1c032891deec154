"""A real Milvus and a real Elasticsearch for the demo and the tests."""
