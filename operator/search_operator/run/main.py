"""Puts the operator together and runs it until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.dynamic.exceptions import DynamicApiError
from prometheus_client import start_http_server
from pythonjsonlogger.json import JsonFormatter

from search_operator.act.execute import Actor
from search_operator.decide.plan import Installation
from search_operator.kubernetes_api import CHILD_KINDS, INDEX, OPTIONAL_KINDS, POD, Kind, KubernetesApi
from search_operator.metrics_api.keeper import MetricsApi
from search_operator.milvus_api import MilvusPool
from search_operator.observe.cache import Cache, IndexKey
from search_operator.observe.capacity import CapacityReader
from search_operator.observe.elasticsearch import CatalogueReader
from search_operator.observe.observer import Observer
from search_operator.observe.opencost import OpenCostReader
from search_operator.observe.scaling import ScalingReader
from search_operator.reconcile import NotYet, Reconciler
from search_operator.render.child import MANAGED_BY, Images
from search_operator.run import metrics
from search_operator.run.leadership import Leadership
from search_operator.run.settings import Settings, settings_from
from search_operator.run.watches import Watches, kopf_identity, kopf_settings
from search_operator.run.work_queue import WorkQueue

log = logging.getLogger("search_operator")
OURS = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())


@dataclass
class Operator:
    """The running parts."""

    settings: Settings
    client: kubernetes_client.ApiClient
    api: KubernetesApi
    cache: Cache
    queue: WorkQueue[IndexKey]
    leadership: Leadership
    watches: Watches
    metrics_api: MetricsApi

    async def run(self, stop: asyncio.Event) -> None:
        """Fill the cache first, then watch, then stand for election; returns after `stop`."""
        if not await _until(stop, self._first_list()):
            return
        watching = kopf.operator(
            registry=self.watches.registry(),
            settings=kopf_settings(),
            standalone=True,
            # By default kopf looks up the user's name, and an image has no user 10001.
            identity=kopf_identity(self.settings.identity),
            clusterwide=not self.settings.namespaces,
            namespaces=self.settings.namespaces,
            liveness_endpoint=f"http://0.0.0.0:{self.settings.probe_port}/healthz",
            stop_flag=stop,
        )
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(self._relist()),
                tasks.create_task(self.leadership.run(self.client, self.api, self._lead)),
                tasks.create_task(self._show()),
                tasks.create_task(self.metrics_api.run()),
            ]
            await watching
            for helper in helpers:
                helper.cancel()
        await self.leadership.release(self.api)

    async def _lead(self) -> None:
        for key in self.cache.indexes:
            self.queue.add(key)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(self.settings.workers):
                    workers.create_task(self.queue.work())
        finally:
            # From now on the next leader tells of them.
            metrics.forget_all()

    async def _first_list(self) -> None:
        """The barrier: no worker runs before all children are known, or it would apply them all again."""
        delay = 1.0
        while True:
            try:
                await self._list_all()
                return
            except (DynamicApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("can't list yet (%s); is the CRD installed, are the rights there?", _brief(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 15.0)

    async def _relist(self) -> None:
        while True:
            await asyncio.sleep(self.settings.relist_seconds)
            try:
                for key in await self._list_all():
                    self.queue.add(key)
            except (DynamicApiError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("can't list: %s", _brief(error))

    async def _list_all(self) -> set[IndexKey]:
        changed: set[IndexKey] = set()
        for kind in (*CHILD_KINDS, POD):
            found = [
                o
                for ns in self._scopes()
                for o in await self.api.list(kind, label_selector=OURS, namespace=ns)
            ]
            changed |= self.cache.replace(kind.kind, found)
        for kind in OPTIONAL_KINDS:
            found = [o for ns in self._scopes() for o in await self._list_optional(kind, ns)]
            changed |= self.cache.replace(kind.kind, found)
        indexes = [o for ns in self._scopes() for o in await self.api.list(INDEX, namespace=ns)]
        live = {self.cache.put_index(body) for body in indexes}
        for ghost in set(self.cache.indexes) - live:
            self.cache.drop_index(ghost)
        return changed

    async def _list_optional(self, kind: Kind, namespace: str) -> list[dict[str, Any]]:
        """Objects of a kind that may not be served here, or not be ours to list: none then."""
        try:
            return await self.api.list(kind, label_selector=OURS, namespace=namespace)
        except DynamicApiError as error:
            if error.status not in (403, 404):
                raise
            return []

    def _scopes(self) -> tuple[str, ...]:
        return self.settings.namespaces or ("",)

    async def _show(self) -> None:
        while True:
            metrics.QUEUE_DEPTH.set(self.queue.depth())
            metrics.LEADER.set(int(self.leadership.leading))
            await asyncio.sleep(2)


@contextlib.asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Operator]:
    """The operator with all its connections, closed at the end."""
    await _load_cluster_config()
    client = kubernetes_client.ApiClient()
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32))
    milvus, catalogue, cache, open_cost = MilvusPool(), CatalogueReader(), Cache(), OpenCostReader(http)
    api = KubernetesApi(client)
    leadership = Leadership(settings.namespace, settings.identity, settings.lease_seconds)

    def told(key: IndexKey, said: dict[str, Any]) -> None:
        metrics.tell(*key, said)

    scaling = ScalingReader(api, lambda: metrics_api.standing.problem)
    reconciler = Reconciler(
        cache=cache,
        observer=Observer(
            api, cache, milvus, catalogue, CapacityReader(api, milvus), http, scaling, open_cost
        ),
        actor=Actor(api, milvus, cache, lambda: leadership.leading),
        installation=Installation(
            Images(settings.plane_image, settings.image_pull_policy, settings.plane_gpu_image),
            settings.namespace,
        ),
        resync_seconds=settings.resync_seconds,
        told=told,
    )

    async def handle(key: IndexKey) -> float | None:
        began = time.monotonic()
        try:
            due = await reconciler.reconcile(key)
        finally:
            metrics.RECONCILE_SECONDS.observe(time.monotonic() - began)
        metrics.RECONCILES.labels("done").inc()
        if key not in cache.indexes:
            metrics.forget(*key)
            queue.forget(key)
            return None
        return due

    def on_error(key: IndexKey, error: Exception) -> None:
        if isinstance(error, NotYet):
            metrics.RECONCILES.labels("waiting").inc()
            log.debug("%s/%s: %s", *key, error)
            return
        metrics.RECONCILES.labels("failed").inc()
        log.error(
            "%s/%s: the pass failed: %s", *key, _brief(error), exc_info=not isinstance(error, DynamicApiError)
        )

    queue: WorkQueue[IndexKey] = WorkQueue(handle=handle, on_error=on_error)
    watches = Watches(cache, queue, leadership)

    def registered() -> None:
        scaling.forget()
        for key in cache.indexes:
            queue.add(key)

    metrics_api = MetricsApi(
        api,
        pods_of=cache.pods_in,
        leading=lambda: leadership.leading,
        needed=lambda: bool(cache.indexes),
        namespace=settings.namespace,
        registered=registered,
        on=settings.metrics_api,
        port=settings.metrics_api_port,
    )
    try:
        yield Operator(settings, client, api, cache, queue, leadership, watches, metrics_api)
    finally:
        open_cost.close()
        await http.close()
        await catalogue.close()
        milvus.close()
        await client.close()


async def _load_cluster_config() -> None:
    try:
        kubernetes_config.load_incluster_config()
    except kubernetes_config.ConfigException:
        await kubernetes_config.load_kube_config()


async def _until(stop: asyncio.Event, work: Any) -> bool:
    """Run `work` unless `stop` comes first; whether it was finished."""
    job, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({job, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if job.done():
        job.result()
        return True
    job.cancel()
    return False


def _brief(error: BaseException) -> str:
    return (
        str(error.summary())[:500]
        if isinstance(error, DynamicApiError)
        else f"{type(error).__name__}: {error}"
    )


def _configure_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level"},
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("kopf", "elastic_transport", "kubernetes", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns of every failed connection; the status tells that once.
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)


async def _main(settings: Settings) -> None:
    _configure_logging(settings.log_level)
    start_http_server(settings.metrics_port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with assemble(settings) as operator:
        await operator.run(stop)


def main() -> int:
    """Run the operator; 2 when the environment lacks a setting, or one is wrong."""
    try:
        settings = settings_from()
    except KeyError as missing:
        print(f"the environment variable {missing} is not set", file=sys.stderr)
        return 2
    except ValueError as wrong:
        print(f"the environment: {wrong}", file=sys.stderr)
        return 2
    asyncio.run(_main(settings))
    return 0
