"""A real Kubernetes cluster for the demo and the tests: the one given, else kind, else one of our own.

>>> cluster = bring_up("test", progress=print)
>>> load_image(cluster, build_image("localhost/semantic-search/plane:dev", context))
>>> patch_gpu(cluster, 4)
>>> tear_down("test")
"""

from tests.testbed.cluster.cache import TestbedError, cache_root
from tests.testbed.cluster.choice import Cluster, bring_up, find, load_image, tear_down
from tests.testbed.cluster.gpu import patch_gpu
from tests.testbed.cluster.images import build_base, build_image

__all__ = [
    "Cluster",
    "TestbedError",
    "bring_up",
    "build_base",
    "build_image",
    "cache_root",
    "find",
    "load_image",
    "patch_gpu",
    "tear_down",
]
