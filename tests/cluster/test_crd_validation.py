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

from tests.cluster.invalid_resources import INVALID, Invalid
from tests.cluster.invalid_values import INVALID_VALUES
from tests.cluster.resource_base import DIGEST, OTHER_DIGEST, Json, at, changed, valid_index
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
        at("spec.refresh.mode", "Full"),
        at("spec.cost.currency", "RMB"),
        at("spec.search.topK", 200),
    ):
        index = changed(index, patch)
    fields = {each.field for each in indexes.refusals(indexes.try_out(index))}
    assert fields == {"spec.refresh.mode", "spec.cost.currency", "spec.vectorStore.milvus.search.ef"}


def test_unknown_fields_are_refused(indexes: Indexes) -> None:
    answer = indexes.try_out(changed(valid_index(), at("spec.encoder.replicas", 3)))
    assert answer.status_code == 400
    assert 'unknown field "spec.encoder.replicas"' in answer.json()["message"]


ACCEPTED: dict[str, Json] = {
    "base": {},
    "name-of-40": at("metadata.name", "p" * 40),
    "retain": at("spec.deletionPolicy", "Retain"),
    "paused": at("spec.paused", True),
    "no-cost": at("spec.cost", None),
    "cost-without-prices": at("spec.cost", {"prices": None}),
    "cost-alert-in-yuan": at("spec.cost", {"action": "Alert", "currency": "CNY"}),
    "cap-equal-to-minimum-fleet": at("spec.cost.monthlyCap", "3065.28"),
    "cap-without-milvus-nodes": at("spec.cost", {"monthlyCap": "1041.60", "prices": {"milvusNodes": None}}),
    "min-equal-to-max": at("spec.encoder.autoscaling", {"minReplicas": 12, "maxReplicas": 12, "mode": "hpa"})
    | at("spec.cost", None),
    "two-to-eight": at("spec.encoder.autoscaling", {"minReplicas": 2, "maxReplicas": 8}),
    "prewarm-empty": at("spec.encoder.autoscaling.prewarm", []),
    "cpu-encoder": at("spec.encoder.accelerator", {"count": 0}),
    "own-nodes": at(
        "spec.encoder.accelerator", {"nodeSelector": {}, "tolerations": [{"operator": "Exists"}]}
    ),
    "quantities": at("spec.encoder.resources", {"requests": {"cpu": 2, "memory": "512Mi"}, "limits": {}}),
    "weights-on-claim": at(
        "spec.encoder.weights",
        {"image": None, "persistentVolumeClaim": {"claimName": "weights"}, "sha256": DIGEST},
    ),
    "weights-baked-in": at("spec.encoder.weights", {"image": None, "bakedIn": {}, "sha256": DIGEST}),
    "weights-by-tag-and-pin": at(
        "spec.encoder.weights", {"image": "localhost/team/w:v1.5", "sha256": DIGEST}
    ),
    "registry-with-port": at("spec.encoder.weights.image", f"registry.example:5000/w:1@sha256:{DIGEST}"),
    "custom-model": at(
        "spec.encoder",
        {"model": "ours/v2", "custom": {"dimension": 384, "pooling": "cls"}, "maxTokens": 128},
    ),
    "custom-prefixes": at(
        "spec.encoder.custom", {"queryPrefix": "查询: ", "documentPrefix": "", "normalize": False}
    ),
    "shorter-texts": at("spec.encoder.maxTokens", 64),
    "milvus-tls": at("spec.vectorStore.milvus.endpoint", "https://milvus.example.com:443"),
    "milvus-address": at("spec.vectorStore.milvus.endpoint", "10.0.0.7:19530"),
    "milvus-address-v6": at("spec.vectorStore.milvus.endpoint", "[fd00::7]:65535"),
    "m-2": at("spec.vectorStore.milvus.index.m", 2),
    "m-2048": at("spec.vectorStore.milvus.index.m", 2048),
    "shards-16": at("spec.vectorStore.milvus.shards", 16),
    "ef-equal-to-depth": at("spec.vectorStore.milvus.search.ef", 100),
    "deepest": at("spec.vectorStore.milvus.search.ef", 16384),
    "elasticsearch-plain": at(
        "spec.catalogue.elasticsearch.endpoint", "http://elasticsearch.stores.svc:9200"
    ),
    "elasticsearch-below-path": at("spec.catalogue.elasticsearch.endpoint", "https://proxy.example.com/es/"),
    "elasticsearch-credentials": at(
        "spec.catalogue.elasticsearch",
        {"credentialsSecretRef": {"name": "es"}, "caSecretRef": {"name": "es.ca"}},
    ),
    "template-with-chinese": at(
        "spec.catalogue.elasticsearch.textTemplate", "品牌：{brand}，{attributes.colour}"
    ),
    "filter": at("spec.catalogue.elasticsearch.filter", 'on_sale: true AND brand: "小米"'),
    "cron-names": at("spec.refresh.schedule", "*/15 0-6,22 1-7 JAN,jul mon-fri"),
    "cron-wrap-written-out": at("spec.refresh.schedule", "59 22-23,0-4/2 28-31 9-12 0"),
    "zone-of-three-parts": at("spec.refresh.timeZone", "America/Argentina/Buenos_Aires"),
    "zone-etc": at("spec.refresh.timeZone", "Etc/GMT-8"),
    "deadline-composed": at("spec.refresh.startingDeadline", "1h30m"),
    "deadline-least": at("spec.refresh.startingDeadline", "10s"),
    "reranker-off": at("spec.search.reranker", {"enabled": False}),
    "experiment-off": at("spec.search.experiment", {"enabled": False}),
    "gateway-image": at("spec.search.image", "registry.example/semantic-search/plane:0.1.0"),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(indexes: Indexes, change: Json) -> None:
    assert_accepted(indexes.try_out(changed(valid_index(), change)))


# Values of an enum that some rule refuses, because nothing serves them yet.
UNSERVED_VALUES = {
    ("spec.encoder.autoscaling.mode", "keda"),
    ("spec.refresh.mode", "Full"),
    ("spec.rollout.promotion", "Manual"),
}


def test_every_enum_value_is_accepted_or_known_to_be_unserved(indexes: Indexes) -> None:
    values = [(path, value) for path, value in _enums(SCHEMA, "") if path.startswith("spec.")]
    refused = set()
    for path, value in values:
        answer = indexes.try_out(changed(valid_index(), at(path, value)))
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


# Another value for each field that is immutable once a release is active.
OTHER_VALUES: dict[str, Json] = {
    "spec.encoder.model": at("spec.encoder.model", "m3e-small"),
    "spec.encoder.revision": at("spec.encoder.revision", "2.0.0"),
    "spec.encoder.custom": at("spec.encoder.custom", {"queryPrefix": "q: "}),
    "spec.encoder.maxTokens": at("spec.encoder.maxTokens", 64),
    "spec.encoder.precision": at("spec.encoder.precision", "fp32"),
    "spec.encoder.weights": at("spec.encoder.weights.image", f"registry.example/w@sha256:{OTHER_DIGEST}"),
    "spec.vectorStore.milvus.endpoint": at("spec.vectorStore.milvus.endpoint", "other:19530"),
    "spec.vectorStore.milvus.database": at("spec.vectorStore.milvus.database", "other"),
    "spec.vectorStore.milvus.shards": at("spec.vectorStore.milvus.shards", 8),
    "spec.vectorStore.milvus.replicas": at("spec.vectorStore.milvus.replicas", 1),
    "spec.vectorStore.milvus.index": at("spec.vectorStore.milvus.index.m", 32),
    "spec.catalogue.elasticsearch.endpoint": at("spec.catalogue.elasticsearch.endpoint", "http://other:9200"),
    "spec.catalogue.elasticsearch.index": at("spec.catalogue.elasticsearch.index", "other"),
    "spec.catalogue.elasticsearch.fields.id": at("spec.catalogue.elasticsearch.fields.id", "id"),
    "spec.catalogue.elasticsearch.textTemplate": at("spec.catalogue.elasticsearch.textTemplate", "{title}"),
}

STILL_MUTABLE: dict[str, Json] = {
    "ef": at("spec.vectorStore.milvus.search.ef", 256),
    "autoscaling": at("spec.encoder.autoscaling.maxReplicas", 8),
    "encoder-image": at("spec.encoder.image", "registry.example/plane:2"),
    "resources": at("spec.encoder.resources.requests", {"cpu": "4"}),
    "schedule": at("spec.refresh.schedule", "0 4 * * *"),
    "filter": at("spec.catalogue.elasticsearch.filter", "on_sale:true"),
    "secret": at("spec.vectorStore.milvus.credentialsSecretRef", {"name": "milvus"}),
    "cap": at("spec.cost.monthlyCap", "6000"),
    "paused": at("spec.paused", True),
    "same-weights-from-another-registry": at(
        "spec.encoder.weights.image", f"mirror.example/e@sha256:{DIGEST}"
    ),
}


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
    assert {path for path, _ in IMMUTABLE} | {"spec.encoder.weights"} == set(OTHER_VALUES)


@pytest.mark.parametrize("path", OTHER_VALUES)
def test_immutable_once_a_release_is_active(indexes: Indexes, stored: dict[str, str], path: str) -> None:
    assert_accepted(_patch(indexes, stored["fresh"], OTHER_VALUES[path]))
    found = indexes.refusals(_patch(indexes, stored["active"], OTHER_VALUES[path]))
    assert [each.field for each in found] == [path]
    assert f"{path} can't change while release r-7c1f0000 is active" in found[0].message
    assert "create another index" in found[0].message


@pytest.mark.parametrize("path", ["spec.encoder.custom", "spec.encoder.maxTokens"])
def test_an_optional_immutable_field_cannot_be_taken_away(indexes: Indexes, path: str) -> None:
    index = valid_index("with-options")
    for patch in (at("spec.encoder.custom", {"queryPrefix": "q: "}), at("spec.encoder.maxTokens", 64)):
        index = changed(index, patch)
    assert_accepted(indexes.http.post(INDEXES, json=index))
    try:
        status = {"status": {"activeRelease": "r-7c1f0000"}}
        assert_accepted(indexes.http.patch(f"{INDEXES}/with-options/status", json=status, headers=MERGE))
        found = indexes.refusals(_patch(indexes, "with-options", at(path, None)))
        assert [each.field for each in found] == [path]
    finally:
        assert_accepted(indexes.http.delete(f"{INDEXES}/with-options"))


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
                "release": "r-9e020000",
                "progress": "58%",
                "rows": "588000",
                "encoders": "3/4",
                "monthCost": "3065.28 USD",
            },
        }
        answer = indexes.http.patch(f"{INDEXES}/shown/status", json={"status": status}, headers=MERGE)
        assert_accepted(answer)
        narrow = apiserver.ask("get", "ssi", "-n", "search", "shown").splitlines()
        assert narrow[0].split() == ["NAME", "READY", "RELEASE", "PROGRESS", "ENCODERS", "COST(MONTH)", "AGE"]
        assert narrow[1].split()[:7] == ["shown", "False", "r-9e020000", "58%", "3/4", "3065.28", "USD"]
        wide = apiserver.ask("get", "ssi", "-n", "search", "shown", "-o", "wide")
        for text in ("PHASE", "REASON", "ROWS", "MESSAGE", "Building", "588000", "412000 rows left"):
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
