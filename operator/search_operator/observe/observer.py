"""Gathers one Observation: everything is asked at the same time, and each part may be missing."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
from pydantic import ValidationError
from search_plane.release.record import ReleaseSnapshot
from search_plane.release.report import JobProgress

from search_operator.api.index import SemanticSearchIndex
from search_operator.kubernetes_api import KubernetesApi
from search_operator.milvus_api import MilvusPool
from search_operator.observe.book import Book, book_in
from search_operator.observe.cache import Cache, Object
from search_operator.observe.capacity import CapacityReader, worth_asking
from search_operator.observe.credentials import StoreCredentials, read_credentials
from search_operator.observe.elasticsearch import CatalogueReader
from search_operator.observe.entry import look_at_entry, with_entry
from search_operator.observe.gateways import look_at_gateways
from search_operator.observe.milvus import look_at_milvus
from search_operator.observe.observation import (
    Capacity,
    CatalogueView,
    ChildKey,
    MilvusView,
    Observation,
    PodView,
    PricesView,
    Problem,
    ScalingView,
)
from search_operator.observe.opencost import OpenCostReader
from search_operator.observe.prices import look_at_prices
from search_operator.observe.recent import RecentStores, Stores
from search_operator.observe.scaling import ScalingReader, look_at_scaled_objects, with_scaled_objects
from search_operator.observe.workloads import job_progress, job_view, pod_view, slices_of
from search_operator.render.gateway import active_name
from search_operator.render.ledger import kept_ledger, ledger_aside, ledger_name


@dataclass(frozen=True)
class Observer:
    """Everything that may be looked at."""

    api: KubernetesApi
    cache: Cache
    milvus: MilvusPool
    catalogue: CatalogueReader
    capacity: CapacityReader
    http: aiohttp.ClientSession
    scaling: ScalingReader
    open_cost: OpenCostReader
    recent: RecentStores = field(default_factory=RecentStores)

    async def observe(self, index: SemanticSearchIndex) -> tuple[Observation, StoreCredentials]:
        """The observation, and apart from it the secrets, which must not travel with it."""
        key = (index.namespace, index.name)
        children = self.cache.children(key)
        pods = tuple(sorted((pod_view(pod) for pod in self.cache.pods(key)), key=lambda pod: pod.name))
        jobs = [body for (kind, _), body in sorted(children.items()) if kind == "Job"]
        pointer = children.get(("ConfigMap", active_name(index.name)))
        book = book_in(pointer)
        credentials = await read_credentials(self.api, index)
        stores, progress, gateways, capacity, entry, (prices, scaling, scaled) = await asyncio.gather(
            self._stores(index, credentials),
            self._progress(pods, jobs),
            look_at_gateways(self.http, pods),
            self._capacity(index, book, credentials),
            look_at_entry(self.api, self.cache, index),
            self._beside(index),
        )
        money = children.get(("ConfigMap", ledger_name(index.name)))
        ledger = kept_ledger(money, index)
        observation = Observation(
            now=datetime.now(UTC),
            index=index,
            children=with_scaled_objects(with_entry(children, index, entry), scaled),
            pods=pods,
            jobs=tuple(job_view(job, pods, progress.get(job["metadata"]["name"])) for job in jobs),
            snapshot=snapshot_in(pointer),
            book=book,
            gateways=gateways,
            capacity=capacity,
            secret_problem=credentials.problem,
            milvus=stores.milvus,
            catalogue=stores.catalogue,
            entry=entry,
            prices=prices,
            scaling=scaling,
            open_cost=self.open_cost.look(index, ledger),
            ledger=ledger,
            ledger_aside=ledger_aside(money, index),
        )
        return observation, credentials

    async def _beside(
        self, index: SemanticSearchIndex
    ) -> tuple[PricesView, ScalingView, dict[ChildKey, Object]]:
        """What others keep for the index: its prices, what scales it."""
        return await asyncio.gather(
            look_at_prices(self.api, index),
            self.scaling.look(),
            look_at_scaled_objects(self.api, self.cache, index),
        )

    async def _stores(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> Stores:
        key, now = (index.namespace, index.name), time.monotonic()
        held = self.recent.get(key, index.generation, now)
        if held is not None and not credentials.problem:
            return held
        milvus, catalogue = await asyncio.gather(
            self._milvus(index, credentials), self._catalogue(index, credentials)
        )
        said = Stores(now, index.generation, milvus, catalogue)
        self.recent.note(key, said)
        return said

    async def _milvus(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> MilvusView:
        if credentials.problem:
            return MilvusView(problem=credentials.problem)
        if _leaves_its_data(index):
            return MilvusView(problem=_NOT_ASKED)
        return await look_at_milvus(self.milvus, index, credentials)

    async def _catalogue(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> CatalogueView:
        if credentials.problem:
            return CatalogueView(problem=credentials.problem)
        if _leaves_its_data(index):
            return CatalogueView(problem=_NOT_ASKED)
        return await self.catalogue.look(index.spec.catalogue.elasticsearch, credentials)

    async def _capacity(
        self, index: SemanticSearchIndex, book: Book, credentials: StoreCredentials
    ) -> Capacity:
        # At rest nobody needs it, and it costs lists of nodes and their pods.
        return await self.capacity.look(index, credentials) if worth_asking(index, book) else Capacity()

    async def _progress(self, pods: tuple[PodView, ...], jobs: list[Object]) -> dict[str, JobProgress]:
        running = {
            job["metadata"]["name"]: slices_of(job)
            for job in jobs
            if not job.get("status", {}).get("completionTime")
        }
        told = await asyncio.gather(
            *(job_progress(self.http, pods, name, slices) for name, slices in running.items())
        )
        return {name: progress for name, progress in zip(running, told, strict=True) if progress}


_NOT_ASKED = Problem(
    "NotAsked", "the index is being deleted and leaves its data behind", needs_a_person=False
)


def _leaves_its_data(index: SemanticSearchIndex) -> bool:
    """Whether nothing is wanted of the stores any more, so that one that is away can't hold the deletion up."""
    return index.being_deleted and index.spec.deletion_policy == "Retain"


def snapshot_in(config_map: Object | None) -> ReleaseSnapshot | None:
    """The active release in the pointer; None when there is none, or somebody has spoilt it."""
    text = (config_map or {}).get("data", {}).get("release.json", "{}")
    try:
        return ReleaseSnapshot.model_validate_json(text) if text != "{}" else None
    except ValidationError:
        return None
