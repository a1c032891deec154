"""A replica on a fake API server: it serves, the leader registers, and what is missing stops neither."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import aiohttp
import pytest
from search_operator.kubernetes_api import KubernetesApi
from search_operator.metrics_api import keeper
from search_operator.metrics_api.certificate import certificate_in, renewed, secret_data
from search_operator.metrics_api.keeper import MetricsApi

from tests.unit.metrics_api.fake_cluster import FakeCluster
from tests.unit.metrics_api.front_proxy import ClientAuthority, client_context
from tests.unit.metrics_api.metrics_api_bed import HOST

SYSTEM = "semantic-search-system"
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/semantic-search-operator-metrics-tls"
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.custom.metrics.k8s.io"
OLDER = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io"
AUTHORITY = ClientAuthority.make()
MADE = [("create", "semantic-search-operator-metrics-tls"), ("create", "v1beta2.custom.metrics.k8s.io")]


@dataclass
class Role:
    """What a replica is told of itself."""

    leading: bool = True
    needed: bool = True
    registered: int = 0

    def told(self) -> None:
        self.registered += 1


@asynccontextmanager
async def replica(cluster: FakeCluster, role: Role, *, on: bool = True) -> AsyncIterator[MetricsApi]:
    """One that runs until the block ends, and looks again every tenth of a second."""
    made = MetricsApi(
        cast(KubernetesApi, cluster),
        pods_of=lambda _: [],
        leading=lambda: role.leading,
        needed=lambda: role.needed,
        namespace=SYSTEM,
        registered=role.told,
        on=on,
        port=0,
        at_rest_seconds=0.1,
        in_trouble_seconds=0.1,
    )
    running = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()


async def until(holds: Callable[[], object], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"waited 10 s for {what}"
        await asyncio.sleep(0.02)


async def some_passes() -> None:
    """Long enough for several looks, in which nothing must be done."""
    await asyncio.sleep(0.35)


async def ask(metrics_api: MetricsApi, bundle: str, folder: Path) -> int:
    context = client_context(bundle, AUTHORITY.client("front-proxy", folder))
    url = f"https://127.0.0.1:{metrics_api.bound_port}/apis/custom.metrics.k8s.io/v1beta2"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, ssl=context, server_hostname=HOST) as answer,
    ):
        return answer.status


def authorities(cluster: FakeCluster) -> str:
    held = certificate_in(cluster.objects[SECRET])
    assert held is not None
    return held.authorities


def run(work: Callable[[FakeCluster], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work(FakeCluster(AUTHORITY))

    asyncio.run(bounded())


def test_the_leader_makes_a_certificate_serves_and_registers_once(tmp_path: Path) -> None:
    async def work(cluster: FakeCluster) -> None:
        role = Role()
        async with replica(cluster, role) as one:
            await until(lambda: API_SERVICE in cluster.objects, "the APIService")
            assert cluster.objects[API_SERVICE]["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
            assert cluster.objects[SECRET]["metadata"]["ownerReferences"][0]["kind"] == "ClusterRole"
            assert await ask(one, authorities(cluster), tmp_path) == 200
            await some_passes()
            assert cluster.writes == MADE
            assert role.registered == 1
            assert one.standing == keeper.Standing(serving=True, problem="")

    run(work)


def test_a_follower_serves_the_leaders_certificate_and_writes_nothing(tmp_path: Path) -> None:
    async def work(cluster: FakeCluster) -> None:
        async with replica(cluster, Role(leading=False)) as follower:
            await until(lambda: "waiting for the leader" in follower.standing.problem, "it to wait")
            assert cluster.writes == []
            async with replica(cluster, Role()):
                await until(lambda: follower.standing.serving, "the follower to serve")
                assert await ask(follower, authorities(cluster), tmp_path) == 200
                await until(lambda: cluster.writes == MADE, "the leader's writes")

    run(work)


def test_it_is_registered_when_the_first_index_comes() -> None:
    async def work(cluster: FakeCluster) -> None:
        role = Role(needed=False)
        async with replica(cluster, role) as one:
            await until(lambda: one.standing.serving, "it to serve")
            await some_passes()
            assert API_SERVICE not in cluster.objects
            role.needed = True
            await until(lambda: API_SERVICE in cluster.objects, "the APIService")

    run(work)


def test_a_renewed_certificate_is_shown_and_registered(tmp_path: Path) -> None:
    async def work(cluster: FakeCluster) -> None:
        ending = renewed(None, HOST, datetime.now(UTC) - timedelta(days=70))
        cluster.put(SECRET, {"metadata": {}, "data": secret_data(ending)})
        role = Role(leading=False)
        async with replica(cluster, role) as one:
            await until(lambda: one.standing.serving, "it to serve what is there")
            assert await ask(one, ending.authorities, tmp_path) == 200
            port, role.leading = one.bound_port, True
            await until(lambda: API_SERVICE in cluster.objects, "the APIService")
            assert cluster.writes[0] == ("patch", "semantic-search-operator-metrics-tls")
            assert authorities(cluster) != ending.authorities
            assert one.bound_port == port
            assert await ask(one, authorities(cluster), tmp_path) == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await ask(one, ending.authorities, tmp_path)

    run(work)


def test_anothers_api_is_left_alone_and_ours_served_to_nobody() -> None:
    async def work(cluster: FakeCluster) -> None:
        theirs = {"metadata": {}, "spec": {"service": {"namespace": "monitoring", "name": "adapter"}}}
        cluster.put(OLDER, theirs)
        async with replica(cluster, Role()) as one:
            await until(lambda: "monitoring/adapter" in one.standing.problem, "it to see the other")
            assert one.standing.serving
            before = cluster.objects[OLDER]
            await some_passes()
            assert API_SERVICE not in cluster.objects
            assert cluster.objects[OLDER] == before

    run(work)


def test_switched_off_ours_goes_and_nothing_is_served() -> None:
    async def work(cluster: FakeCluster) -> None:
        async with replica(cluster, Role()):
            await until(lambda: API_SERVICE in cluster.objects, "the APIService")
        async with replica(cluster, Role(), on=False) as off:
            await until(lambda: API_SERVICE not in cluster.objects, "the end of the APIService")
            assert not off.standing.serving

    run(work)


@pytest.mark.parametrize(
    ("verb", "plural", "serves", "told"),
    [
        ("get", "secrets", False, "secrets is forbidden"),
        ("create", "secrets", False, "secrets is forbidden"),
        ("get", "configmaps", False, "configmaps is forbidden"),
        ("get", "clusterroles", True, "no ClusterRole semantic-search-operator"),
        ("get", "apiservices", True, "apiservices is forbidden"),
        ("create", "apiservices", True, "apiservices is forbidden"),
    ],
)
def test_without_a_right_the_operator_runs_on_and_says_so_once(
    verb: str, plural: str, serves: bool, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(cluster: FakeCluster) -> None:
        cluster.forbidden.add((verb, plural))
        async with replica(cluster, Role()) as one:
            await until(lambda: told in one.standing.problem, "it to say what is missing")
            await some_passes()
            assert one.standing.serving is serves
            assert API_SERVICE not in cluster.objects
            cluster.forbidden.clear()
            await until(lambda: API_SERVICE in cluster.objects, "it to go on once the right is there")

    with caplog.at_level(logging.WARNING, "search_operator.metrics_api"):
        run(work)
    assert [told in record.getMessage() for record in caplog.records] == [True]


def test_a_cluster_without_the_aggregation_layer_is_told() -> None:
    async def work(cluster: FakeCluster) -> None:
        path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
        cluster.put(path, {"metadata": {}, "data": {"client-ca-file": "x"}})
        async with replica(cluster, Role()) as one:
            await until(lambda: "aggregation layer" in one.standing.problem, "it to say so")
            assert not one.standing.serving
            assert API_SERVICE not in cluster.objects

    run(work)


def test_another_front_proxy_is_trusted_once_it_is_published(tmp_path: Path) -> None:
    async def answered(one: MetricsApi) -> int | None:
        try:
            return await ask(one, authorities(cast(FakeCluster, one.api)), tmp_path)
        except (aiohttp.ClientError, OSError):
            return None

    async def work(cluster: FakeCluster) -> None:
        other = ClientAuthority.make("other")
        cluster.publish(other)
        async with replica(cluster, Role()) as one:
            await until(lambda: one.standing.serving, "it to serve")
            with pytest.raises((aiohttp.ClientError, OSError)):
                await ask(one, authorities(cluster), tmp_path)
            cluster.publish(AUTHORITY)
            async with asyncio.timeout(10):
                while (code := await answered(one)) is None:  # noqa: ASYNC110  # nothing tells it
                    await asyncio.sleep(0.02)
            assert code == 200

    run(work)
