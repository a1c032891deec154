"""The two stores as images, built from the Dockerfiles beside this file."""

from __future__ import annotations

from tests.testbed.cluster.images import build_image
from tests.testbed.cluster.toolchain import Progress
from tests.testbed.stores.programs import (
    ELASTICSEARCH_RECIPE,
    MILVUS_RECIPE,
    elasticsearch_jars,
    silent,
)

MILVUS_IMAGE = "localhost/semantic-search/milvus:2.3.5"
ELASTICSEARCH_IMAGE = "localhost/semantic-search/elasticsearch:8.19"


def build_milvus(progress: Progress = silent) -> str:
    """Build Milvus's image if it is not there and return its tag."""
    build_image(MILVUS_IMAGE, MILVUS_RECIPE, progress=progress)
    return MILVUS_IMAGE


def build_elasticsearch(progress: Progress = silent) -> str:
    """Build Elasticsearch's image (and its jars, with Maven) if it is not there and return its tag."""
    jars = elasticsearch_jars(progress)
    build_image(ELASTICSEARCH_IMAGE, ELASTICSEARCH_RECIPE, extra_contexts={"jars": jars}, progress=progress)
    return ELASTICSEARCH_IMAGE


def build_images(progress: Progress = silent) -> list[str]:
    """Build both images, as far as they are not there, and return their tags.

    The two parts are independent: callers that want to may run them side by side in threads.
    """
    return [build_milvus(progress), build_elasticsearch(progress)]
