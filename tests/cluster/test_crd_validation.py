"""What the API server itself accepts and refuses: the table's rows, enum values, bounds, transitions."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from search_operator.api.crd import custom_resource_definition
from search_operator.api.schema import VALIDATIONS
from search_operator.api.transitions import IMMUTABLE

from tests.cluster.invalid_resources import INVALID
from tests.cluster.invalid_row import Invalid
from tests.cluster.invalid_values import INVALID_VALUES
from tests.cluster.resource_base import Json, at, changed, valid_index
from tests.cluster.valid_resources import ACCEPTED, OTHER_VALUES, STILL_MUTABLE
from tests.testbed.apiserver import ApiServer

pytest_plugins = ["tests.testbed.apiserver_fixtures"]
pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).resolve().parents[2]
CRD_FILE = REPOSITORY / "crds" / "semanticsearchindexes.yaml"
SAMPLES = sorted((REPOSITORY / "manifests" / "samples").glob("*.yaml"))
GOLDEN_DEFAULTS = Path(__file__).parent / "defaults.yaml"
INDEXES = "/apis/semanticsearch.io/v1alpha1/namespaces/search/semanticsearchindexes"
SCHEMA: Json = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
ROWS: tuple[Invalid, ...] = (*INVALID, *INVALID_VALUES)
# What an enum's values need beside them.
ENUM_NEEDS = {"spec.cost.prices.purchase": at("spec.cost.prices.spotNodeHour", "0.11")}
DRY_RUN = {"dryRun": "All", "fieldValidation": "Strict"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Refusal:
    """One cause in the API server's answer."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(frozen=True)
class Indexes:
    """The API server's indexes in the namespace `search`."""

    http: httpx.Client

    def try_out(self, index: Json) -> httpx.Response:
        """Create `index` without storing it."""
        return self.http.post(INDEXES, params=DRY_RUN, json=index)

    def refusals(self, answer: httpx.Response) -> list[Refusal]:
        """The causes of a refusal; fails the test when the answer is none."""
        assert answer.status_code == 422, f"expected a refusal, got {answer.status_code}: {answer.text[:500]}"
        causes = answer.json()["details"]["causes"]
        return [Refusal(cause.get("field", ""), cause.get("message", "")) for cause in causes]


@pytest.fixture(scope="session")
def indexes(apiserver: ApiServer) -> Iterator[Indexes]:
    with httpx.Client(
        base_url=apiserver.url,
        headers={"Authorization": f"Bearer {apiserver.token}"},
        verify=ssl.create_default_context(cafile=str(apiserver.certificate)),
        timeout=30,
    ) as http:
        yield Indexes(http)


def assert_accepted(answer: httpx.Response) -> Json:
    assert answer.status_code in (200, 201), answer.json().get("message", answer.text)
    accepted: Json = answer.json()
    return accepted


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_refuses(indexes: Indexes, row: Invalid) -> None:
    found = indexes.refusals(indexes.try_out(changed(valid_index(), row.change)))
    assert any(row.path in str(each) and row.says in each.message for each in found), [str(e) for e in found]


def test_every_rule_is_provoked_by_some_row(indexes: Indexes) -> None:
    """A rule that no row meets may be one that never fires."""
    answers = (indexes.try_out(changed(valid_index(), row.change)) for row in ROWS)
    said: dict[str, set[str]] = {}
    for refusal in (each for answer in answers for each in indexes.refusals(answer)):
        said.setdefault(re.sub(r"\[[^]]*]", "[]", refusal.field), set()).add(refusal.message)
    silent = [
        (where, rule["message"])
        for where, rule in _rules(SCHEMA, "")
        if "oldSelf" not in rule["rule"] and not any(_is_of(rule, message) for message in said.get(where, ()))
    ]
    assert not silent


def test_a_resource_with_several_faults_is_told_all_of_them(indexes: Indexes) -> None:
    index = valid_index()
    for patch in (
        at("spec.rollout.rollbackTo", "previous"),
        at("spec.cost.currency", "RMB"),
        at("spec.search.topK", 200),
    ):
        index = changed(index, patch)
    fields = {each.field for each in indexes.refusals(indexes.try_out(index))}
    assert fields == {"spec.rollout.rollbackTo", "spec.cost.currency", "spec.vectorStore.milvus.search.ef"}


def test_unknown_fields_are_refused(indexes: Indexes) -> None:
    answer = indexes.try_out(changed(valid_index(), at("spec.encoder.replicas", 3)))
    assert answer.status_code == 400
    assert 'unknown field "spec.encoder.replicas"' in answer.json()["message"]


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(indexes: Indexes, change: Json) -> None:
    assert_accepted(indexes.try_out(changed(valid_index(), change)))


# Values of an enum that some rule refuses, because nothing serves them yet.
UNSERVED_VALUES: set[tuple[str, str]] = set()


def test_every_enum_value_is_accepted_or_known_to_be_unserved(indexes: Indexes) -> None:
    values = [(path, value) for path, value in _enums(SCHEMA, "") if path.startswith("spec.")]
    refused = set()
    for path, value in values:
        beside = ENUM_NEEDS.get(path, {})
        answer = indexes.try_out(changed(valid_index(), changed(beside, at(path, value))))
        if answer.status_code == 422:
            refused.add((path, value))
    assert refused == UNSERVED_VALUES
    assert len(values) >= 20


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_accepts_the_samples(indexes: Indexes, sample: Path) -> None:
    for document in yaml.safe_load_all(sample.read_text()):
        if document["kind"] == "SemanticSearchIndex":
            assert_accepted(indexes.try_out(document))


def test_defaults(indexes: Indexes) -> None:
    accepted = assert_accepted(indexes.try_out(changed(valid_index(), at("spec.cost", {"monthlyCap": None}))))
    assert accepted["spec"] == yaml.safe_load(GOLDEN_DEFAULTS.read_text())


@pytest.fixture(scope="module")
def stored(indexes: Indexes) -> Iterator[dict[str, str]]:
    """Two stored indexes: one that has no release yet, and one whose release is active."""
    names = {"fresh": "fresh", "active": "active"}
    for name in names.values():
        assert_accepted(indexes.http.post(INDEXES, json=valid_index(name)))
    status = {"status": {"activeRelease": "r-7c1f0000"}}
    assert_accepted(indexes.http.patch(f"{INDEXES}/active/status", json=status, headers=MERGE))
    yield names
    for name in names.values():
        assert_accepted(indexes.http.delete(f"{INDEXES}/{name}"))


def _patch(indexes: Indexes, name: str, change: Json) -> httpx.Response:
    return indexes.http.patch(f"{INDEXES}/{name}", params=DRY_RUN, json=change, headers=MERGE)


def test_the_table_of_immutable_fields_is_whole() -> None:
    assert {fixed.path for fixed in IMMUTABLE} == set(OTHER_VALUES)


@pytest.mark.parametrize("path", OTHER_VALUES)
def test_immutable_once_a_release_is_active(indexes: Indexes, stored: dict[str, str], path: str) -> None:
    change, remedy = OTHER_VALUES[path]
    assert_accepted(_patch(indexes, stored["fresh"], change))
    found = indexes.refusals(_patch(indexes, stored["active"], change))
    assert [each.field for each in found] == [path]
    assert f"{path} can't change while release r-7c1f0000 is active" in found[0].message
    assert remedy in found[0].message


@pytest.mark.parametrize("change", STILL_MUTABLE.values(), ids=STILL_MUTABLE.keys())
def test_mutable_while_a_release_is_active(indexes: Indexes, stored: dict[str, str], change: Json) -> None:
    assert_accepted(_patch(indexes, stored["active"], change))


def test_a_status_may_be_written_and_removed_while_a_release_is_active(
    indexes: Indexes, stored: dict[str, str]
) -> None:
    """Rules must never stop the operator from writing its status, nor anyone from deleting it."""
    url = f"{INDEXES}/{stored['active']}/status"
    for status in ({"phase": "Serving"}, {"activeRelease": "r-00000001"}, {"activeRelease": None}):
        answer = indexes.http.patch(url, params=DRY_RUN, json={"status": status}, headers=MERGE)
        assert_accepted(answer)


def test_client_side_apply_works_twice(apiserver: ApiServer) -> None:
    """The annotation that client-side apply writes holds the whole object, and has 256 KiB at most."""
    for _ in range(2):
        assert "semanticsearchindexes" in apiserver.ask("apply", "-f", str(CRD_FILE))


def test_kubectl_shows_the_columns(apiserver: ApiServer, indexes: Indexes) -> None:
    assert_accepted(indexes.http.post(INDEXES, json=valid_index("shown")))
    try:
        status = {
            "phase": "Building",
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "Building",
                    "message": "412000 rows left",
                    "lastTransitionTime": "2026-11-22T00:00:00Z",
                }
            ],
            "summary": {
                "release": "r-7c1f0000",
                "candidate": "r-9e020000 58%",
                "progress": "Active",
                "rows": "588000",
                "encoders": "3/4",
                "monthCost": "3065.28 USD",
            },
        }
        answer = indexes.http.patch(f"{INDEXES}/shown/status", json={"status": status}, headers=MERGE)
        assert_accepted(answer)
        narrow = apiserver.ask("get", "ssi", "-n", "search", "shown").splitlines()
        heading = "NAME READY RELEASE CANDIDATE PROGRESS ROWS ENCODERS COST(MONTH) AGE"
        assert narrow[0].split() == heading.split()
        assert re.split("  +", narrow[1])[:8] == [
            "shown",
            "False",
            "r-7c1f0000",
            "r-9e020000 58%",
            "Active",
            "588000",
            "3/4",
            "3065.28 USD",
        ]
        wide = apiserver.ask("get", "ssi", "-n", "search", "shown", "-o", "wide")
        for text in ("PHASE", "REASON", "MESSAGE", "Building", "412000 rows left"):
            assert text in wide
    finally:
        assert_accepted(indexes.http.delete(f"{INDEXES}/shown"))


def test_kubectl_explains_the_fields(apiserver: ApiServer) -> None:
    text = apiserver.ask("explain", "ssi.spec.encoder.autoscaling.minReplicas")
    assert "Encoders that always run" in text


def _is_of(rule: dict[str, str], message: str) -> bool:
    """Whether a rule said this; a computed message is told by how it starts."""
    if "messageExpression" not in rule:
        return message.endswith(rule["message"])
    return rule["messageExpression"][1:].split("%")[0] in message


def _rules(schema: Json, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """All CEL rules below a schema, each with the field that its error names; `[]` is an item or a map's value."""
    for rule in schema.get(VALIDATIONS, []):
        # The root has no path of its own, and the API server writes that so.
        yield path + rule.get("fieldPath", "") or "<nil>", rule
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}" if path else name)
    for child in (schema.get("items"), schema.get("additionalProperties")):
        if child:
            yield from _rules(child, f"{path}[]")


def _enums(schema: Json, path: str) -> Iterator[tuple[str, str]]:
    """Each enum value that a merge patch on the base can reach, with the path of its field."""
    for value in schema.get("enum", []):
        yield path, value
    for name, child in schema.get("properties", {}).items():
        yield from _enums(child, f"{path}.{name}" if path else name)
