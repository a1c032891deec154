"""What the demo reads out of the cluster and out of answers."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest
from rich.console import Console

from demo import queries
from demo.cluster_access import documents, pods_in_trouble
from demo.index_status import condition_rows, is_ready, progress_line, speed, why_not_ready
from demo.queries import amount, ask, hits_table, timings
from demo.steps import StepFailed

ANSWER: dict[str, Any] = {
    "query": "小米手机充电器",
    "release": "r-1a2b3c4d",
    "path": "fused",
    "degraded": [],
    "hits": [
        {
            "rank": 1,
            "title": "小米 [原装] 充电器",
            "brand": "小米",
            "price": 59,
            "stock": 0,
            "score": 0.01639,
        },
        {"rank": 2, "title": None, "brand": None, "price": None, "stock": None, "score": 0.5},
    ],
    "timings_ms": {"embed": 4.14, "vector": 6.2, "keyword": 9.9, "join": 2.7, "total": 13.6},
}


def index(ready: str = "False", *, generation: int = 1, observed: int = 1, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "reason": "Building", "message": "half way"}]
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": conditions, **status},
    }


def settled(*, reconciling: str = "False", stalled: str = "False", **how: Any) -> dict[str, Any]:
    found = index("True", **how)
    found["status"]["conditions"] += [
        {"type": "Reconciling", "status": reconciling},
        {"type": "Stalled", "status": stalled},
    ]
    return found


def test_ready_is_about_the_present_spec() -> None:
    assert is_ready(settled())
    assert not is_ready(settled(reconciling="True")), "another release is on its way"
    assert not is_ready(settled(stalled="True")), "the release that the spec asks for has failed"
    assert not is_ready(settled(generation=2))
    assert not is_ready(index("False"))
    assert not is_ready({"metadata": {"generation": 1}})


def test_the_progress_line_names_stage_rows_encoders_and_what_is_waited_for() -> None:
    release = {
        "name": "r-1a2b3c4d",
        "stage": "Building",
        "rows": 1200,
        "waitingFor": "800 of 2,000 rows",
        "progress": {"done": 1200, "total": 2000, "percent": 60, "rowsPerSecond": 85},
    }
    building = index(releases=[release], encoder={"ready": 1, "desired": 2})
    line = progress_line(building)
    assert speed(building) == "  85 rows/s"
    assert speed(index()) == ""
    for text in (
        "Building",
        "r-1a2b3c4d",
        "1,200 of 2,000 rows (60 %)",
        "encoders 1/2",
    ):
        assert text in line


def test_before_rows_are_counted_the_progress_line_says_what_is_waited_for() -> None:
    release = {"name": "r-1a2b3c4d", "stage": "Provisioning", "waitingFor": "the first encoder to be ready"}
    assert progress_line(index(releases=[release])).endswith("waiting for the first encoder to be ready")


def test_the_progress_line_of_a_served_index_says_rows() -> None:
    assert progress_line(
        index("True", phase="Serving", releases=[{"name": "r-1", "rows": 2000}])
    ).split() == [*("Serving", "r-1", "2,000", "rows")]


def test_the_progress_line_shouts_what_a_person_must_do() -> None:
    stalled = index()
    stalled["status"]["conditions"].append(
        {"type": "Stalled", "status": "True", "reason": "SecretMissing", "message": "make Secret milvus"}
    )
    assert progress_line(stalled).endswith("STALLED: make Secret milvus")
    assert why_not_ready(stalled) == "SecretMissing: make Secret milvus"


def test_there_is_always_something_to_say() -> None:
    assert progress_line({"metadata": {"generation": 1}}) == "the operator has not seen it yet"
    assert why_not_ready(None) == "there is no such index"
    assert "is it running" in why_not_ready({"metadata": {"generation": 1}})
    assert why_not_ready(index()) == "Building: half way"
    assert condition_rows(index()) == [("Ready", "False", "Building", "half way")]


def test_objects_come_out_of_kubectls_stream_as_soon_as_they_are_whole() -> None:
    objects = [{"a": {"b": 1}}, {"a": {"b": [2, {}]}}]
    text = "".join(json.dumps(one, indent=4) + "\n" for one in objects)
    lines = ["Unable to connect to the server\n", *text.splitlines(keepends=True)]
    found = documents(iter(lines))
    assert next(found) == objects[0]
    assert list(found) == objects[1:]


def test_an_object_cut_in_half_is_not_taken_for_one() -> None:
    assert list(documents(["{\n", '    "a": {\n', "    }\n"])) == []


def pod(name: str, phase: str, *conditions: tuple[str, str], waiting: str = "") -> dict[str, Any]:
    status: dict[str, Any] = {
        "phase": phase,
        "conditions": [{"type": kind, "status": value, "message": "0/1 nodes"} for kind, value in conditions],
    }
    if waiting:
        status["containerStatuses"] = [{"state": {"waiting": {"reason": waiting}}}]
    return {"metadata": {"name": name}, "status": status}


def test_only_pods_in_trouble_are_named_with_the_reason() -> None:
    pods = [
        pod("good", "Running", ("Ready", "True")),
        pod("over", "Succeeded", ("Ready", "False")),
        pod("slow", "Running", ("Ready", "False")),
        pod("image", "Pending", ("Ready", "False"), waiting="ErrImageNeverPull"),
        pod("nowhere", "Pending", ("PodScheduled", "False")),
    ]
    assert pods_in_trouble(pods) == [
        ("slow", "Running, not ready"),
        ("image", "ErrImageNeverPull"),
        ("nowhere", "0/1 nodes"),
    ]


def test_hits_are_shown_as_they_are() -> None:
    output = io.StringIO()
    Console(file=output, width=110).print(hits_table(ANSWER))
    text = output.getvalue()
    for cell in ("小米手机充电器", "小米 [原装] 充电器", "59.00", "0.0164", "r-1a2b3c4d, fused", "words 9.9"):
        assert cell in text
    assert "None" not in text


def test_a_degraded_answer_says_so() -> None:
    assert timings({**ANSWER, "degraded": ["join"]}).endswith("degraded: join")
    assert "degraded" not in timings(ANSWER)


@pytest.mark.parametrize(("price", "text"), [(9, "9.00"), (12.5, "12.50"), (None, ""), ("?", "")])
def test_prices_have_two_decimals(price: object, text: str) -> None:
    assert amount(price) == text


def _answering(monkeypatch: pytest.MonkeyPatch, *responses: httpx.Response) -> list[dict[str, Any]]:
    """httpx.get replaced by prepared answers; returns the list that collects what was asked."""
    asked: list[dict[str, Any]] = []
    left = list(responses)

    def get(url: str, **options: Any) -> httpx.Response:
        asked.append(options["params"])
        response = left.pop(0)
        response.request = httpx.Request("GET", url)
        return response

    monkeypatch.setattr(httpx, "get", get)
    return asked


def test_a_gateway_that_is_starting_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answering(monkeypatch, httpx.Response(503, text="no release"), httpx.Response(200, json=ANSWER))
    assert ask("http://gateway", "小米", 3)["release"] == "r-1a2b3c4d"
    assert asked == [{"q": "小米", "k": 3}] * 2


def test_a_refused_query_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _answering(monkeypatch, httpx.Response(400, json={"error": "k is too large", "field": "k"}))
    with pytest.raises(StepFailed, match=r"400.*k is too large"):
        ask("http://gateway", "小米", 3)


def test_waiting_for_the_gateway_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_ANSWERS_WITHIN", 0.0)
    _answering(monkeypatch, httpx.Response(503, text="no release"))
    with pytest.raises(StepFailed, match=r"no answer from http://gateway.*no release"):
        ask("http://gateway", "小米", 3)
