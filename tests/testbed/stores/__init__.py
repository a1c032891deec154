"""A real Milvus and a real Elasticsearch for the demo and the tests.

In a cluster: ``deploy``, ``reachable``, ``remove``, and the outages of ``outage``. Without one: ``local``.
"""

from tests.testbed.stores.deployment import Stores, deploy, reachable, remove
from tests.testbed.stores.images import build_images

__all__ = ["Stores", "build_images", "deploy", "reachable", "remove"]
