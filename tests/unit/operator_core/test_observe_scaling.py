"""The reader of what there is to scale by, on a fake API server; tests/cluster/test_scaler_objects.py has a real one."""

import asyncio
from dataclasses import dataclass, field

import pytest
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic.exceptions import ForbiddenError, ServiceUnavailableError
from search_operator.kubernetes_api import Kind
from search_operator.observe.observation import ScalingView
from search_operator.observe.scaling import ScalingReader

from tests.unit.operator_core.builders import Object
from tests.unit.operator_core.test_scaling import api_service

V1BETA1, V1BETA2 = "v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"
METRIC = "pods/encoder_inflight_tokens"


@dataclass
class FakeApi:
    """Answers as the API server would; counts the questions."""

    services: dict[str, Object] = field(default_factory=dict)
    listed: dict[str, frozenset[str]] = field(default_factory=dict)
    wrong: Exception | None = None
    silent: Exception | None = None
    """What discovery of the group ends in."""
    asked: int = 0

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        assert (kind.kind, namespace) == ("APIService", "")
        self.asked += 1
        if self.wrong:
            raise self.wrong
        return self.services.get(name)

    async def resources(self, api_version: str) -> frozenset[str]:
        if self.silent:
            raise self.silent
        return self.listed.get(api_version, frozenset())

    async def serves(self, kind: Kind) -> bool:
        if self.wrong:
            raise self.wrong
        return kind.plural in await self.resources(kind.api_version)


def answer(status: int, kind: type[Exception]) -> Exception:
    return kind(ApiException(status=status, reason="no endpoints"))


def looks(api: FakeApi, *changes: tuple[str, object]) -> list[ScalingView]:
    """What one reader sees: at first, and after each change once it asks again."""

    async def run() -> list[ScalingView]:
        reader = ScalingReader(api)  # type: ignore[arg-type]
        found = [await reader.look()]
        for name, value in changes:
            setattr(api, name, value)
            reader.forget()
            found.append(await reader.look())
        return found

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("services", "listed", "seen"),
    [
        ({}, {}, ("Absent", False, "")),
        (
            {V1BETA2: api_service(ours=True)},
            {"custom.metrics.k8s.io/v1beta2": frozenset({METRIC})},
            ("Ours", True),
        ),
        ({V1BETA2: api_service(ours=False)}, {}, ("Theirs", False, "monitoring/prometheus-adapter")),
        (
            {V1BETA1: api_service(ours=False)},
            {"custom.metrics.k8s.io/v1beta1": frozenset({METRIC, "namespaces/other"})},
            ("Theirs", True, "monitoring/prometheus-adapter"),
        ),
    ],
)
def test_whose_it_is_and_what_it_knows(
    services: dict[str, Object], listed: dict[str, frozenset[str]], seen: tuple[object, ...]
) -> None:
    (view,) = looks(FakeApi(services, listed))
    assert (view.metrics_api, view.knows_metric, view.owner)[: len(seen)] == seen
    assert not view.keda


def test_tokens_that_are_gone_for_a_moment_are_not_gone() -> None:
    api = FakeApi({V1BETA2: api_service(ours=True)}, {"custom.metrics.k8s.io/v1beta2": frozenset({METRIC})})
    first, gone, back = looks(api, ("services", {}), ("services", dict(api.services)))
    assert first.metrics_api == back.metrics_api == "Ours"
    assert gone.metrics_api == "Unavailable"
    assert gone.why == "its APIService is gone; believed after 300 s"


def test_without_the_right_or_an_answer_nothing_is_said_to_be_absent() -> None:
    listed = {"keda.sh/v1alpha1": frozenset({"scaledobjects"})}
    first, refused, back = looks(
        FakeApi(listed=listed), ("wrong", answer(403, ForbiddenError)), ("wrong", None)
    )
    assert (first.metrics_api, first.keda) == (back.metrics_api, back.keda) == ("Absent", True)
    assert refused.metrics_api == "Unavailable"
    # Of KEDA what was known is believed.
    assert refused.keda
    down = FakeApi({V1BETA2: api_service(ours=False)}, silent=answer(503, ServiceUnavailableError))
    assert looks(down)[0].metrics_api == "Unavailable"


def test_all_indexes_together_ask_once_a_minute() -> None:
    api = FakeApi()

    async def run() -> None:
        reader = ScalingReader(api)  # type: ignore[arg-type]
        await asyncio.gather(*(reader.look() for _ in range(20)))
        for _ in range(20):
            await reader.look()

    asyncio.run(run())
    assert api.asked == 2


def test_what_keeps_the_operator_from_serving_is_told_while_nobody_does() -> None:
    async def look(api: FakeApi) -> ScalingView:
        return await ScalingReader(api, lambda: "switched off").look()  # type: ignore[arg-type]

    assert asyncio.run(look(FakeApi())) == ScalingView("Absent", why="switched off")
    there = FakeApi(
        {V1BETA2: api_service(ours=False)}, {"custom.metrics.k8s.io/v1beta2": frozenset({METRIC})}
    )
    assert asyncio.run(look(there)).why == ""
