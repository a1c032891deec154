"""Names and folders of what the demo puts together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.testbed.stores.images import ELASTICSEARCH_IMAGE, MILVUS_IMAGE

REPOSITORY = Path(__file__).resolve().parents[1]
INSTANCE = "demo"

OPERATOR_IMAGE = "localhost/semantic-search/operator:dev"
PLANE_IMAGE = "localhost/semantic-search/plane:dev"
WEIGHTS_IMAGE = "localhost/semantic-search/weights-bge-small-zh:v1.5"
# An encoder of the same dimension and another space, to switch to.
OLDER_WEIGHTS_IMAGE = "localhost/semantic-search/weights-bge-small-zh:v1"
DOCKERFILES: Mapping[str, Path] = {
    OPERATOR_IMAGE: REPOSITORY / "operator/Dockerfile",
    PLANE_IMAGE: REPOSITORY / "encoder_image/Dockerfile",
}
STORES = ("milvus", "elasticsearch")
STORE_IMAGES = (MILVUS_IMAGE, ELASTICSEARCH_IMAGE)
SEARCH_IMAGES = (OPERATOR_IMAGE, PLANE_IMAGE, WEIGHTS_IMAGE)

INSTALL = REPOSITORY / "manifests/overlays/demo"
SAMPLE = REPOSITORY / "manifests/samples/products.yaml"

SYSTEM_NAMESPACE = "semantic-search-system"
STORES_NAMESPACE = "stores"
SEARCH_NAMESPACE = "search"
OPERATOR = "semantic-search-operator"
INDEX = "products"
GATEWAY = f"{INDEX}-gateway"
RESOURCE = "semanticsearchindexes.semanticsearch.io"

CATALOGUE_INDEX = "products"
CATALOGUE_SIZE = 2000
GPUS = 4

# Marks what the demo made, so that it never touches a namespace of someone else's.
OWN_LABEL = ("semanticsearch.io/demo", "true")
# Which build of an image an object runs; the tag stays the same when the image does not.
BUILD_ANNOTATION = "semanticsearch.io/demo-image-build"
