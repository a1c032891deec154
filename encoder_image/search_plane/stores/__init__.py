"""Clients of Milvus and Elasticsearch: deadlines on every call, credentials from mounted files."""
