"""Read-only: the cluster, Milvus, Elasticsearch, jobs and the clock, gathered into one frozen Observation."""
