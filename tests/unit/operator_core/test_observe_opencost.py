"""OpenCost is asked at most hourly, beside the pass; whatever it does, the pass goes on and the reason is told.

The server is a fake (fake_opencost.py), in the shape that OpenCost's allocation API has; HTTP and the reader are real.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from search_operator.api.index import SemanticSearchIndex
from search_operator.money.ledger import Ledger, MonthAccount
from search_operator.money.months import HOUR, milliseconds
from search_operator.observe.observation import OpenCostView
from search_operator.observe.opencost import EVERY_SECONDS, MOST_BYTES, NoAccount, OpenCostReader, costs_in

from tests.unit.operator_core.builders import merged, sample
from tests.unit.operator_core.fake_opencost import FakeOpenCost, answer_of, fake_opencost

DECEMBER = milliseconds(datetime(2026, 11, 30, 16, tzinfo=UTC))
ITEMS = {"encoder": 33_600_000 * HOUR, "milvus": 65_280_000 * HOUR}
LEDGER = Ledger(
    currency="USD", upto=DECEMBER + 24 * HOUR, months=(MonthAccount(month="2026-12", items=ITEMS),)
)
SAYS = answer_of(
    {"search/products/encoder": 30.12345, "search/products/gateway": 1.5, "search/shoes/encoder": 9.9}
)


def index_of(url: str, status: dict[str, Any] | None = None, **more: Any) -> SemanticSearchIndex:
    body = sample("production", cost={"openCost": {"url": url, **more}})
    body["metadata"]["creationTimestamp"] = "2026-11-01T00:00:00Z"
    return SemanticSearchIndex.parse(merged(body, {"status": status or {}}))


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """The test as pytest calls it."""

    @functools.wraps(test)
    def run(**given: Any) -> None:
        async def whole() -> None:
            await test(**given)

        asyncio.run(whole())

    return run


async def answered(reader: OpenCostReader, index: SemanticSearchIndex, now: float = 1.0) -> OpenCostView:
    """What is known once OpenCost has answered."""
    reader.look(index, LEDGER, now)
    async with asyncio.timeout(10):
        await reader.settled()
    return reader.look(index, LEDGER, now)


@in_a_loop
async def test_it_is_asked_about_the_time_that_the_ledger_is_about() -> None:
    async with fake_opencost(SAYS) as fake, aiohttp.ClientSession() as http:
        reader = OpenCostReader(http)
        found = await answered(reader, index_of(fake.url))
    assert found == OpenCostView(
        LEDGER.months[0], LEDGER.upto, {"encoder": 30_123_450, "gateway": 1_500_000}, None
    )
    (asked,) = fake.asked
    assert asked == {
        "window": "2026-11-30T16:00:00Z,2026-12-01T16:00:00Z",
        "aggregate": "namespace,label:semanticsearch_io_index,label:app_kubernetes_io_component",
        "accumulate": "true",
        "filter": 'namespace:"search"',
    }


@in_a_loop
async def test_it_is_asked_at_most_hourly_and_at_once_when_the_spec_names_another() -> None:
    async with fake_opencost(SAYS) as fake, fake_opencost(SAYS) as other, aiohttp.ClientSession() as http:
        reader = OpenCostReader(http)
        for now in (0.0, 20.0, EVERY_SECONDS - 1):
            await answered(reader, index_of(fake.url), now)
        assert len(fake.asked) == 1
        await answered(reader, index_of(fake.url), EVERY_SECONDS)
        assert len(fake.asked) == 2
        await answered(reader, index_of(other.url), EVERY_SECONDS + 1)
        assert (len(fake.asked), len(other.asked)) == (2, 1)


@in_a_loop
async def test_a_failed_question_is_not_asked_more_often_and_leaves_the_last_answer() -> None:
    async with fake_opencost(SAYS) as fake, aiohttp.ClientSession() as http:
        reader = OpenCostReader(http)
        good = await answered(reader, index_of(fake.url), 0.0)
        fake.says = web.Response(status=500, text="secret of the server")
        bad = await answered(reader, index_of(fake.url), EVERY_SECONDS)
        await answered(reader, index_of(fake.url), 2 * EVERY_SECONDS - 1)
    assert len(fake.asked) == 2
    assert replace(bad, problem=None) == good
    assert bad.problem is not None
    assert "spec.cost.openCost.url http://127.0.0.1:" in bad.problem.message
    assert "it answers with status 500" in bad.problem.message
    assert "secret" not in bad.problem.message


@in_a_loop
async def test_an_operator_that_starts_does_not_ask_again_what_the_status_tells() -> None:
    def told(at: str) -> dict[str, Any]:
        return {"cost": {"openCost": {"asOf": at}}}

    async with fake_opencost(SAYS) as fake, aiohttp.ClientSession() as http:
        fresh = index_of(fake.url, told("2026-12-01T15:00:01Z"))
        assert await answered(OpenCostReader(http), fresh) == OpenCostView()
        assert fake.asked == []
        for old in ("2026-12-01T15:00:00Z", "yesterday"):
            found = await answered(OpenCostReader(http), index_of(fake.url, told(old)))
            assert found.account is not None


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (web.Response(status=404), "status 404"),
        (web.Response(status=302, headers={"Location": "http://169.254.169.254/"}), "status 302"),
        ("all is well", "not that of OpenCost's allocation API"),
        ([], "not that of OpenCost's allocation API"),
        ({"code": 200, "data": None}, "(data: "),
        ({"code": 200, "data": [{"search/products/encoder": {"name": "x"}}]}, "totalCost: Field required"),
        ({"code": 200, "data": [{"search/products/encoder": {"totalCost": "much"}}]}, "totalCost"),
        (answer_of({}, code=500), "the code 500"),
        (answer_of({"search/products/encoder": None}), "no figure for search/products/encoder"),
        (answer_of({"search/shoes/encoder": 1.0}), "knows no pods of index products in namespace search"),
        (answer_of({"search/__unallocated__/encoder": 1.0}), "semanticsearch.io/index"),
        (web.Response(text="[" * 100_000), "not that of OpenCost's allocation API"),
        (
            web.Response(text='{"code": 200, "data": [{"search/products/encoder": {"totalCost": NaN}}]}'),
            "totalCost",
        ),
        (web.Response(body=b" " * (MOST_BYTES + 1)), "larger than 16 MiB"),
    ],
)
@in_a_loop
async def test_what_can_t_be_compared_is_told_with_the_reason(says: Any, words: str) -> None:
    async with fake_opencost(says) as fake, aiohttp.ClientSession() as http:
        found = await answered(OpenCostReader(http), index_of(fake.url))
    assert found.account is None
    assert found.problem is not None
    assert found.problem.reason == "OpenCostUnreadable"
    assert not found.problem.needs_a_person
    assert words in found.problem.message
    assert len(fake.asked) == 1, "a redirect must not be followed"


@in_a_loop
async def test_silence_holds_nobody_up_and_is_told() -> None:
    async with fake_opencost(None) as fake, aiohttp.ClientSession() as http:
        reader = OpenCostReader(http, answer_seconds=0.2)
        index = index_of(fake.url)
        assert reader.look(index, LEDGER, 0.0) == OpenCostView(), "it returns at once"
        found = await answered(reader, index, 1.0)
    assert found.problem is not None
    assert "does not answer within 0.2 s" in found.problem.message


@in_a_loop
async def test_nobody_there_is_told() -> None:
    async with fake_opencost(SAYS) as gone:
        url = gone.url
    async with aiohttp.ClientSession() as http:
        found = await answered(OpenCostReader(http), index_of(url))
    assert found.problem is not None
    assert "does not answer (ClientConnectorError)" in found.problem.message


@in_a_loop
async def test_another_currency_is_not_asked_about() -> None:
    async with fake_opencost(SAYS) as fake, aiohttp.ClientSession() as http:
        found = await answered(OpenCostReader(http), index_of(fake.url, currency="CNY"))
    assert fake.asked == []
    assert found.problem is not None
    assert found.problem.message == (
        "spec.cost.openCost.currency is CNY, but spec.cost.currency is USD, and nothing is converted"
    )


@pytest.mark.parametrize(
    ("ledger", "why"),
    [
        (None, "there is no ledger"),
        (LEDGER.model_copy(update={"currency": "CNY"}), "it is in another currency"),
        (LEDGER.model_copy(update={"upto": DECEMBER + HOUR - 1}), "the month has begun just now"),
    ],
)
@in_a_loop
async def test_without_an_hour_of_a_ledger_there_is_nothing_to_ask(ledger: Ledger | None, why: str) -> None:
    async with fake_opencost(SAYS) as fake, aiohttp.ClientSession() as http:
        assert OpenCostReader(http).look(index_of(fake.url), ledger, 0.0) == OpenCostView(), why
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert fake.asked == []


@in_a_loop
async def test_a_sum_that_was_taken_over_can_t_be_compared_by_item() -> None:
    lost = LEDGER.model_copy(update={"months": (MonthAccount(month="2026-12", items={"recovered": HOUR}),)})
    async with fake_opencost(SAYS) as fake, aiohttp.ClientSession() as http:
        found = OpenCostReader(http).look(index_of(fake.url), lost, 0.0)
    assert found.problem is not None
    assert "taken over as one sum" in found.problem.message
    assert fake.asked == []


@in_a_loop
async def test_an_index_that_is_gone_or_asks_no_more_is_forgotten_with_its_question() -> None:
    async with fake_opencost(None) as fake, aiohttp.ClientSession() as http:
        reader = OpenCostReader(http)
        reader.look(index_of(fake.url), LEDGER, 0.0)
        (task,) = [asked.task for asked in reader._asked.values()]
        reader.forget(("search", "products"))
        assert task is not None
        with pytest.raises(asyncio.CancelledError):
            await task
        assert reader._asked == {}


def test_an_answer_in_steps_is_summed() -> None:
    """As a version that knows no accumulate gives it; an empty set is null or {}."""
    one = FakeOpenCost(answer_of({"search/products/encoder": 1.25}))
    parts = [*one.says["data"], None, {}, *one.says["data"]]
    text = web.json_response({"code": 200, "status": "success", "data": parts}).body
    assert isinstance(text, bytes)
    assert costs_in(text, "search", "products") == {"encoder": 2_500_000}
    with pytest.raises(NoAccount, match="knows no pods of index product "):
        costs_in(text, "search", "product")
