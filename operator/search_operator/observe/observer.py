"""Gathers one Observation: everything is asked at the same time, and each part may be missing."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from pydantic import ValidationError
from search_plane.release.record import ReleaseSnapshot
from search_plane.release.report import JobProgress

from search_operator.api.index import SemanticSearchIndex
from search_operator.kubernetes_api import KubernetesApi
from search_operator.milvus_api import MilvusPool
from search_operator.observe.cache import Cache, Object
from search_operator.observe.credentials import StoreCredentials, read_credentials
from search_operator.observe.elasticsearch import CatalogueReader
from search_operator.observe.milvus import look_at_milvus
from search_operator.observe.observation import CatalogueView, MilvusView, Observation, PodView
from search_operator.observe.workloads import job_progress, job_view, pod_view
from search_operator.render.gateway import active_name


@dataclass(frozen=True)
class Observer:
    """Everything that may be looked at."""

    api: KubernetesApi
    cache: Cache
    milvus: MilvusPool
    catalogue: CatalogueReader
    http: aiohttp.ClientSession

    async def observe(self, index: SemanticSearchIndex) -> tuple[Observation, StoreCredentials]:
        """The observation, and apart from it the secrets, which must not travel with it."""
        key = (index.namespace, index.name)
        children = self.cache.children(key)
        pods = tuple(sorted((pod_view(pod) for pod in self.cache.pods(key)), key=lambda pod: pod.name))
        jobs = [body for (kind, _), body in sorted(children.items()) if kind == "Job"]
        credentials = await read_credentials(self.api, index)
        milvus, catalogue, progress = await asyncio.gather(
            self._milvus(index, credentials), self._catalogue(index, credentials), self._progress(pods, jobs)
        )
        observation = Observation(
            now=datetime.now(UTC),
            index=index,
            children=children,
            pods=pods,
            jobs=tuple(job_view(job, pods, progress.get(job["metadata"]["name"])) for job in jobs),
            snapshot=snapshot_in(children.get(("ConfigMap", active_name(index.name)))),
            secret_problem=credentials.problem,
            milvus=milvus,
            catalogue=catalogue,
        )
        return observation, credentials

    async def _milvus(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> MilvusView:
        if credentials.problem:
            return MilvusView(problem=credentials.problem)
        return await look_at_milvus(self.milvus, index, credentials)

    async def _catalogue(self, index: SemanticSearchIndex, credentials: StoreCredentials) -> CatalogueView:
        if credentials.problem:
            return CatalogueView(problem=credentials.problem)
        return await self.catalogue.look(index.spec.catalogue.elasticsearch, credentials)

    async def _progress(self, pods: tuple[PodView, ...], jobs: list[Object]) -> dict[str, JobProgress]:
        names = [job["metadata"]["name"] for job in jobs if not job.get("status", {}).get("completionTime")]
        told = await asyncio.gather(*(job_progress(self.http, pods, name) for name in names))
        return {name: progress for name, progress in zip(names, told, strict=True) if progress}


def snapshot_in(config_map: Object | None) -> ReleaseSnapshot | None:
    """The active release in the pointer; None when there is none, or somebody has spoilt it."""
    text = (config_map or {}).get("data", {}).get("release.json", "{}")
    try:
        return ReleaseSnapshot.model_validate_json(text) if text != "{}" else None
    except ValidationError:
        return None
