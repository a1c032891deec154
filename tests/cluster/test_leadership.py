"""The Lease on a real API server: one leads, an orderly stop hands over at once, and a term's work ends with it."""

import asyncio
import time

import pytest
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from search_operator.kubernetes_api import KubernetesApi
from search_operator.run.leadership import Leadership

from tests.testbed.apiserver import ApiServer

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

LEASE_SECONDS = 15
WAIT_SECONDS = 60


class Term:
    """The work that is done while leading: it only notes that it runs."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def work(self) -> None:
        """Runs until it is cancelled."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def _within(event: asyncio.Event, what: str) -> None:
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await event.wait()
    except TimeoutError:
        pytest.fail(f"waited {WAIT_SECONDS} s for {what}")


async def _hand_over(server: ApiServer) -> float:
    configuration = kubernetes_client.Configuration()
    await kubernetes_config.load_kube_config(str(server.kubeconfig), client_configuration=configuration)
    async with kubernetes_client.ApiClient(configuration) as client:
        api = KubernetesApi(client)
        one, two = Leadership("default", "one", LEASE_SECONDS), Leadership("default", "two", LEASE_SECONDS)
        first, second = Term(), Term()
        leader = asyncio.create_task(one.run(client, api, first.work))
        await _within(first.begun, "the first to lead")
        follower = asyncio.create_task(two.run(client, api, second.work))
        assert one.leading

        leader.cancel()
        await asyncio.wait({leader})
        assert first.ended.is_set(), "the work went on after the term"
        assert not one.leading
        assert not two.leading
        stopped = time.monotonic()
        await one.release(api)
        await _within(second.begun, "the second to lead")
        took = time.monotonic() - stopped
        assert two.leading

        # Who does not hold the Lease can't give it away.
        await one.release(api)
        lease = server.ask(
            "get", "lease", "semantic-search-operator", "-o", "jsonpath={.spec.holderIdentity}"
        )
        assert lease == "two"
        follower.cancel()
        await asyncio.wait({follower})
        return took


def test_an_orderly_stop_hands_over_before_the_lease_runs_out(apiserver: ApiServer) -> None:
    assert asyncio.run(_hand_over(apiserver)) < LEASE_SECONDS / 2
