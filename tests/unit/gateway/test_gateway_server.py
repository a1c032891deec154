"""The routes without any store: errors, probes, metrics, the description."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from search_plane.gateway.answer import ANSWER_EXAMPLE, Answer
from search_plane.gateway.asgi import Leaving
from search_plane.gateway.server import create_app
from search_plane.gateway.settings import Settings
from search_plane.release.gateway_state import GatewayState, ReleaseTraffic
from search_plane.release.policy import Fusion, SearchPolicy
from starlette.testclient import TestClient

from tests.testbed.plane import wait_until
from tests.unit.gateway.snapshots import snapshot

# Nobody listens there: connections are refused at once.
SETTINGS = {"poll_seconds": 0.02, "encoder_timeout_ms": 300, "milvus_timeout_ms": 300, "es_timeout_ms": 300}


@pytest.fixture
def release_file(tmp_path: Path) -> Path:
    return tmp_path / "release.json"


@pytest.fixture
def leaving() -> Leaving:
    return Leaving()


@pytest.fixture
def client(release_file: Path, leaving: Leaving) -> Iterator[TestClient]:
    app = create_app(Settings.model_validate({**SETTINGS, "release_file": release_file}), leaving)
    with TestClient(app, raise_server_exceptions=False) as running:
        yield running


@pytest.fixture
def held(client: TestClient, release_file: Path) -> TestClient:
    """A gateway that holds a release whose parts are all away."""
    release_file.write_text(snapshot(top_k=50).to_json())
    wait_until("the release file to be taken", lambda: bool(client.get("/release").json()["release"]))
    return client


def test_without_a_release_there_is_no_answer(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "大米"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json() == {"error": "there is no release yet", "field": "release"}
    state = client.get("/release")
    assert state.status_code == 200
    assert GatewayState.model_validate_json(state.content) == GatewayState(
        waiting_for={"release.json": "does not exist"}, policy=SearchPolicy().revision()
    )
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["waiting_for"] == {"release": "does not exist"}
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({}, "q"),
        ({"q": ""}, "q"),
        ({"q": "米" * 257}, "q"),
        ({"q": "手\x00机"}, "q"),
        ({"q": "大米", "k": "0"}, "k"),
        ({"q": "大米", "k": "51"}, "k"),
        ({"q": "大米", "k": "many"}, "k"),
        ({"q": "大米", "k": ""}, "k"),
        ({"q": "大米", "k": "9" * 5000}, "k"),
        ({"q": "大米", "offset": "-1"}, "offset"),
        ({"q": "大米", "offset": "45"}, "offset"),
        ({"q": "大米", "mode": "magic"}, "mode"),
        ({"q": "大米", "brand": ""}, "brand"),
        ({"q": "大米", "category": "\x07"}, "category"),
        ({"q": "大米", "price_min": "cheap"}, "price_min"),
        ({"q": "大米", "price_min": "nan"}, "price_min"),
        ({"q": "大米", "price_max": "-1"}, "price_max"),
        ({"q": "大米", "price_min": "2", "price_max": "1"}, "price_min"),
        ({"q": "大米", "in_stock": "maybe"}, "in_stock"),
        ({"q": "大米", "facets": "2"}, "facets"),
        ({"q": "大米", "user": "u" * 257}, "user"),
    ],
)
def test_a_bad_query_is_told_its_field(held: TestClient, parameters: dict[str, str], field: str) -> None:
    answer = held.get("/search", params=parameters)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "field"}
    assert answer.json()["field"] == field


def test_a_query_that_is_not_utf8_is_refused(held: TestClient) -> None:
    answer = held.get("/search?q=%B4%F3%C3%D7")
    assert (answer.status_code, answer.json()["error"]) == (400, "q must be UTF-8, percent-encoded")


def test_parts_that_are_away_are_named(held: TestClient) -> None:
    answer = held.get("/search", params={"q": "大米"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json() == {"error": "the encoder can't be reached", "field": "encoder"}
    ready = held.get("/readyz").json()
    assert ready["release"] == "r-00000001"
    assert set(ready["waiting_for"]) == {"encoder", "milvus", "elasticsearch"}
    assert (
        'gateway_dependency_errors_total{dependency="encoder",reason="connection"} 1.0'
        in held.get("/metrics").text
    )


def test_a_bad_file_is_told_and_the_release_kept(held: TestClient, release_file: Path) -> None:
    release_file.write_text('{"half')
    # While it is written the file is empty, which is another reason.
    wait_until(
        "the file to be refused",
        lambda: str(held.get("/readyz").json()["release_file"]).startswith("is no release snapshot"),
    )
    assert held.get("/release").json()["release"] == "r-00000001"
    wait_until("the metric", lambda: "gateway_release_file_good 0.0" in held.get("/metrics").text)


def test_what_is_announced_is_told_and_asked_and_the_release_kept(
    held: TestClient, release_file: Path
) -> None:
    announced = snapshot("r-00000002")
    next_file = release_file.with_name("next.json")
    next_file.write_text(announced.to_json())
    wait_until("it to be told", lambda: state_of(held).next == announced.release)
    wait_until("its parts to be asked", lambda: "not asked" not in str(state_of(held).waiting_for))
    state = state_of(held)
    assert (state.next, state.next_revision) == (announced.release, announced.revision())
    assert (state.release, state.revision) == ("r-00000001", snapshot(top_k=50).revision())
    assert state.prepared is False
    assert set(state.waiting_for) == {"encoder", "milvus", "elasticsearch"}

    next_file.write_text('{"half')
    wait_until("the file to be refused", lambda: "next.json" in state_of(held).waiting_for)
    assert state_of(held).next == announced.release
    next_file.write_text("{}")
    wait_until("it to be let go", lambda: state_of(held).next == "")
    assert "next.json" not in state_of(held).waiting_for


def test_an_announced_address_that_is_none_is_told(held: TestClient, release_file: Path) -> None:
    good = snapshot("r-00000002")
    bad = good.model_copy(update={"catalogue": good.catalogue.model_copy(update={"url": "elasticsearch"})})
    release_file.with_name("next.json").write_text(bad.to_json())
    told = "release r-00000002 names an address that is none"
    wait_until(told, lambda: state_of(held).waiting_for.get("next.json") == told)
    assert held.get("/readyz").json()["release_file"] is None
    assert held.get("/healthz").status_code == 200


def test_a_policy_is_followed_without_a_release_and_a_bad_one_changes_nothing(
    held: TestClient, release_file: Path
) -> None:
    policy_file = release_file.with_name("policy.json")
    good = SearchPolicy(fusion=Fusion(mode="keyword"))
    policy_file.write_text(good.to_json())
    wait_until("the policy to be taken", lambda: state_of(held).policy == good.revision())
    for bad in ('{"half', '{"fusion": {"semantic_weight": -1}}', '{"unknown": 1}'):
        policy_file.write_text(bad)
        wait_until("it to be refused", lambda: "gateway_policy_file_good 0.0" in held.get("/metrics").text)
        assert "policy.json" in state_of(held).waiting_for
        assert state_of(held).policy == good.revision()
        policy_file.write_text("{}")
        wait_until("nothing to be wrong", lambda: "gateway_policy_file_good 1.0" in held.get("/metrics").text)
        assert state_of(held).policy == good.revision()
    policy_file.unlink()
    assert state_of(held).policy == good.revision()
    assert f'gateway_policy_info{{revision="{good.revision()}"}} 1.0' in held.get("/metrics").text


def test_failed_queries_are_counted_by_release(held: TestClient) -> None:
    for parameters in ({"q": "大米"}, {"q": "大米"}, {"q": ""}):
        held.get("/search", params=parameters)
    (traffic,) = state_of(held).traffic
    assert traffic == ReleaseTraffic(release="r-00000001", queries=2, failed=2)


def state_of(client: TestClient) -> GatewayState:
    return GatewayState.model_validate_json(client.get("/release").content)


def test_an_address_that_is_none_is_told(client: TestClient, release_file: Path) -> None:
    good = snapshot()
    bad = good.model_copy(update={"catalogue": good.catalogue.model_copy(update={"url": "elasticsearch"})})
    release_file.write_text(bad.to_json())
    told = "release r-00000001 names an address that is none"
    wait_until(told, lambda: client.get("/readyz").json()["waiting_for"]["release"] == told)
    release_file.write_text(good.to_json())
    wait_until("the good file to be taken", lambda: bool(client.get("/release").json()["release"]))
    assert client.get("/release").json()["collection"] == good.milvus.collection


def test_an_unexpected_error_shows_nothing(held: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("password=s3cret")

    monkeypatch.setattr("search_plane.gateway.search.checked_query", fail)
    answer = held.get("/search", params={"q": "大米"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "the gateway failed to answer", "field": "gateway"}


def test_a_leaving_gateway_says_so(client: TestClient, leaving: Leaving) -> None:
    assert "Connection" not in client.get("/healthz").headers
    leaving.draining = True
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["draining"]) == (503, True)
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("", False)]
)
def test_a_request_id_is_kept_or_made(client: TestClient, given: str, kept: bool) -> None:
    identifier = client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert (identifier == given) is kept
    assert identifier


def test_the_description_is_whole(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    get = described["paths"]["/search"]["get"]
    assert set(get["responses"]) >= {"200", "400", "503"}
    assert get["responses"]["200"]["content"]["application/json"]["example"]["hits"][0]["rank"] == 1
    assert {parameter["name"] for parameter in get["parameters"]} >= {"q", "k", "offset", "mode", "brand"}
    assert set(ANSWER_EXAMPLE) == set(described["components"]["schemas"]["Answer"]["properties"])
    Answer.model_validate(ANSWER_EXAMPLE)
    assert client.get("/nowhere").json() == {"error": "Not Found", "field": "path"}


def test_routes_are_counted_under_bounded_names(client: TestClient) -> None:
    client.get("/healthz")
    client.get("/some/random/path")
    client.get("/")
    client.get("/page/page.js")
    client.get("/page/random.js")
    client.get("/page/random/path")
    client.post("/click", json={})
    text = client.get("/metrics").text
    for route, status in (("/", 200), ("/click", 400), ("/page/{name}", 200), ("/page/{name}", 404)):
        assert f'gateway_requests_total{{route="{route}",status="{status}"}} 1.0' in text
    assert 'gateway_requests_total{route="/healthz",status="200"} 1.0' in text
    assert 'gateway_requests_total{route="other",status="404"} 2.0' in text
    assert "random" not in text
