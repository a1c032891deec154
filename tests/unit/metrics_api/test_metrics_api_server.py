"""The metrics API over real TLS: who is let in, what is answered, and what is an error instead of a 0."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from search_operator.metrics_api.callers import Trust
from search_operator.metrics_api.certificate import renewed

from tests.unit.metrics_api.front_proxy import ClientAuthority, client_context
from tests.unit.metrics_api.metrics_api_bed import HOST, PATH, Served, pod, served

METRIC = "encoder_inflight_tokens"
DISCOVERY = "/apis/custom.metrics.k8s.io/v1beta2"
Work = Callable[[Served, ssl.SSLContext], Awaitable[None]]


@pytest.fixture(scope="module")
def authority() -> ClientAuthority:
    return ClientAuthority.make()


@pytest.fixture
def trust(authority: ClientAuthority) -> Trust:
    return Trust(authority.pem, frozenset({"front-proxy"}))


@pytest.fixture
def run(authority: ClientAuthority, trust: Trust, tmp_path: Path) -> Callable[[Work], None]:
    """Runs work on a served API, with the API server's way of connecting."""

    async def on_bed(work: Work) -> None:
        async with asyncio.timeout(20), served(trust) as bed:
            pair = authority.client("front-proxy", tmp_path)
            await work(bed, client_context(bed.certificate.authorities, pair))

    return lambda work: asyncio.run(on_bed(work))


def _values(answer: dict[str, Any]) -> dict[str, str]:
    return {item["describedObject"]["name"]: item["value"] for item in answer["items"]}


def test_the_front_proxy_gets_each_pods_tokens(run: Callable[[Work], None]) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        bed.encoders[0].metrics.inflight_tokens.set(1200)
        bed.encoders[1].metrics.inflight_tokens.set(7.5)
        before = datetime.now(UTC).replace(microsecond=0)
        code, answer = await bed.ask(f"{PATH}/*/{METRIC}?labelSelector=fleet%3Da", context)
        assert code == 200
        assert answer["kind"] == "MetricValueList"
        assert _values(answer) == {"enc-1": "1200", "enc-2": "7500m"}
        item = answer["items"][0]
        assert item["metric"] == {"name": METRIC}
        assert item["describedObject"]["kind"] == "Pod"
        assert item["windowSeconds"] == 0
        assert before <= datetime.fromisoformat(item["timestamp"]) <= datetime.now(UTC)

        code, answer = await bed.ask(f"{PATH}/enc-2/{METRIC}", context)
        assert (code, _values(answer)) == (200, {"enc-2": "7500m"})

        code, answer = await bed.ask(DISCOVERY, context)
        assert code == 200
        assert [found["name"] for found in answer["resources"]] == [f"pods/{METRIC}"]

    run(work)


def test_an_idle_encoder_is_a_true_zero(run: Callable[[Work], None]) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        code, answer = await bed.ask(f"{PATH}/*/{METRIC}", context)
        assert (code, _values(answer)) == (200, {"enc-1": "0", "enc-2": "0"})

    run(work)


def test_nobody_else_is_let_in(
    run: Callable[[Work], None], authority: ClientAuthority, tmp_path: Path
) -> None:
    async def work(bed: Served, _: ssl.SSLContext) -> None:
        authorities = bed.certificate.authorities
        for pair in (None, authority.client("admin", tmp_path)):
            for path in (DISCOVERY, f"{PATH}/*/{METRIC}", "/nothing"):
                code, answer = await bed.ask(path, client_context(authorities, pair))
                assert (code, answer["kind"], answer["reason"]) == (401, "Status", "Unauthorized")
        # The same names, signed by somebody else.
        foreign = ClientAuthority.make(authority.name).client("front-proxy", tmp_path)
        with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
            await bed.ask(DISCOVERY, client_context(authorities, foreign))
        assert [encoder.asked for encoder in bed.encoders] == [0, 0]

    run(work)


def test_without_names_any_client_of_the_authority_will_do(
    authority: ClientAuthority, tmp_path: Path
) -> None:
    async def work() -> None:
        async with asyncio.timeout(20), served(Trust(authority.pem, frozenset())) as bed:
            context = client_context(bed.certificate.authorities, authority.client("whoever", tmp_path))
            assert (await bed.ask(DISCOVERY, context))[0] == 200
            bare = client_context(bed.certificate.authorities, None)
            assert (await bed.ask(DISCOVERY, bare))[0] == 401

    asyncio.run(work())


def test_a_silent_pod_is_left_out(run: Callable[[Work], None]) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        bed.encoders[0].answers.clear()
        bed.encoders[1].metrics.inflight_tokens.set(30)
        code, answer = await bed.ask(f"{PATH}/*/{METRIC}", context)
        assert (code, _values(answer)) == (200, {"enc-2": "30"})

    run(work)


def test_when_all_are_silent_it_is_an_error_that_says_why(run: Callable[[Work], None]) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        bed.encoders[0].answers.clear()
        bed.pods[1]["status"]["podIP"] = "127.0.0.99"  # nothing listens there
        code, answer = await bed.ask(f"{PATH}/*/{METRIC}", context)
        assert (code, answer["kind"], answer["code"]) == (503, "Status", 503)
        assert "none of 2 encoder pods" in answer["message"]
        assert "enc-1: no answer within 1 s" in answer["message"]
        assert "enc-2: " in answer["message"]

    run(work)


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        (f"{PATH}/*/requests", 404, "no metric requests"),
        (f"{PATH}/*/{METRIC}?labelSelector=fleet%3Db", 404, "with the labels fleet=b"),
        (f"{PATH}/enc-9/{METRIC}", 404, "called enc-9"),
        (f"{PATH}/*/{METRIC}?metricLabelSelector=a%3Db", 404, "no series with a=b"),
        (f"{PATH}/*/{METRIC}?labelSelector=%28", 400, "can't read the label selector"),
        ("/apis/custom.metrics.k8s.io/v1beta1", 404, "nothing at"),
        ("/openapi/v2", 404, "nothing at"),
    ],
)
def test_what_is_not_there_is_an_error(run: Callable[[Work], None], path: str, code: int, told: str) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        found, answer = await bed.ask(path, context)
        assert (found, answer["kind"]) == (code, "Status")
        assert told in answer["message"]

    run(work)


def test_pods_that_do_not_run_are_not_asked(run: Callable[[Work], None]) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        bed.pods[1]["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
        bed.pods.append(pod("starting", "") | {"status": {"phase": "Pending"}})
        code, answer = await bed.ask(f"{PATH}/*/{METRIC}", context)
        assert (code, list(_values(answer))) == (200, ["enc-1"])

    run(work)


def test_many_autoscalers_cost_one_ask(run: Callable[[Work], None]) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        asks = (bed.ask(f"{PATH}/*/{METRIC}", context) for _ in range(8))
        assert {code for code, _ in await asyncio.gather(*asks)} == {200}
        assert [encoder.asked for encoder in bed.encoders] == [1, 1]

    run(work)


def test_a_certificate_is_changed_while_serving(
    run: Callable[[Work], None], authority: ClientAuthority, tmp_path: Path
) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        port, first = bed.listener.bound_port, bed.certificate
        pair = authority.client("front-proxy", tmp_path)
        failures: list[object] = []
        stop = asyncio.Event()

        async def keep_asking() -> None:
            # As the API server does it: the whole bundle, and connections that it keeps.
            both = client_context(second.authorities, pair)
            async with aiohttp.ClientSession() as http:
                while not stop.is_set():
                    code, answer = await bed.ask(DISCOVERY, both, http)
                    if code != 200:
                        failures.append(answer)

        second = renewed(first, HOST, datetime.now(UTC) + timedelta(seconds=1))
        asking = asyncio.create_task(keep_asking())
        for turn in range(10):
            await bed.show((second, first)[turn % 2], bed.trust)
            await asyncio.sleep(0.02)
        stop.set()
        await asking
        assert not failures
        await bed.show(second, bed.trust)
        assert bed.listener.bound_port == port
        # Who knows only the new authority is served, so the new certificate is what is shown.
        new = second.authorities.partition("-----END CERTIFICATE-----\n")
        assert (await bed.ask(DISCOVERY, client_context(new[0] + new[1], pair)))[0] == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await bed.ask(DISCOVERY, client_context(first.authorities, pair))

    run(work)


def test_another_front_proxy_takes_over_while_serving(run: Callable[[Work], None], tmp_path: Path) -> None:
    async def work(bed: Served, context: ssl.SSLContext) -> None:
        other = ClientAuthority.make("front-proxy-ca-2")
        async with aiohttp.ClientSession() as http:
            assert (await bed.ask(DISCOVERY, context, http))[0] == 200
            await bed.show(bed.certificate, Trust(other.pem, frozenset({"aggregator"})))
            # The old name is refused at once, on the connection that stands, and that then ends.
            assert (await bed.ask(DISCOVERY, context, http))[0] == 401
            with pytest.raises((aiohttp.ClientError, ConnectionError, ssl.SSLError)):
                await bed.ask(DISCOVERY, context, http)
        new = client_context(bed.certificate.authorities, other.client("aggregator", tmp_path))
        assert (await bed.ask(DISCOVERY, new))[0] == 200

    run(work)
