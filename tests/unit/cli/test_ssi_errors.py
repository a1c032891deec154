"""Every verb: help with an example, and errors of one line with what to do."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from search_operator.cli.main import cli
from search_operator.cli.remedies import is_known

from tests.unit.cli.conftest import Ssi
from tests.unit.cli.recorded_api import RecordedApi, kubeconfig
from tests.unit.cli.recorded_indexes import recorded

REPOSITORY = Path(__file__).resolve().parents[3]
VERBS = sorted(cli.commands)
# Those that need a cluster and one index.
ASKING = [v for v in VERBS if v not in ("plan", "simulate")]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    long, short = (
        CliRunner().invoke(cli, [verb, flag], prog_name="kubectl ssi") for flag in ("--help", "-h")
    )
    assert long.exit_code == 0
    assert long.stdout == short.stdout
    examples = long.stdout.split("Examples:")[1]
    assert re.search(rf"^ +kubectl ssi {verb}\b", examples, re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_transcript(verb: str) -> None:
    page = (REPOSITORY / "docs" / "kubectl-ssi.md").read_text(encoding="utf-8")
    assert re.search(rf"^\$ kubectl ssi {verb}\b.*\n.+", page, re.MULTILINE)


@pytest.mark.parametrize("verb", ASKING)
def test_every_verb_that_asks_a_cluster_takes_kubectls_options(verb: str) -> None:
    options = {name for option in cli.commands[verb].params for name in option.opts}
    assert {"-n", "--namespace", "--context", "--kubeconfig"} <= options


def test_the_package_installs_the_plugin() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, name = project["scripts"]["kubectl-ssi"].split(":")
    assert callable(getattr(import_module(module), name))
    assert isinstance(cli, click.Group)


def _one_line(result: object, *says: str) -> None:
    stderr = str(getattr(result, "stderr", ""))
    assert getattr(result, "exit_code", None) == 2, stderr
    assert len(stderr.splitlines()) == 1, stderr
    assert stderr.startswith("Error: ")
    assert not getattr(result, "stdout", "")
    for part in says:
        assert part in stderr


@pytest.mark.parametrize("verb", ASKING)
def test_a_wrong_name_is_answered_with_the_right_ones(api: RecordedApi, ssi: Ssi, verb: str) -> None:
    api.add(recorded("serving"))
    _one_line(
        ssi(verb, "product"),
        "namespace search has no SemanticSearchIndex product; did you mean products? (there is: products)",
    )


def test_a_wrong_namespace_says_where_the_index_is(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    _one_line(
        ssi("explain", "products", "-n", "shop"),
        "namespace shop has no SemanticSearchIndex (there is no such namespace)",
        "one of that name is in search, try -n search",
    )
    _one_line(
        ssi("pause", "products", "-n", "default"), "namespace default has no SemanticSearchIndex; one of"
    )
    api.refuse = {"/apis/semanticsearch.io/v1alpha1/semanticsearchindexes": 403}
    _one_line(ssi("pause", "products", "-n", "default"), "namespace default has no SemanticSearchIndex\n")


def test_without_a_name_the_only_index_is_meant(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    assert ssi("explain").exit_code == 0
    other = recorded("serving")
    other["metadata"]["name"] = "shoes"
    api.add(other)
    _one_line(ssi("explain"), "namespace search has 2 indexes, name one: products, shoes")
    _one_line(ssi("pause", "-n", "default"), "namespace default has no SemanticSearchIndex")


@pytest.mark.parametrize("verb", ASKING)
def test_a_missing_crd_is_told_as_that(api: RecordedApi, ssi: Ssi, verb: str) -> None:
    api.served = False
    _one_line(ssi(verb, "products"), "the cluster does not know SemanticSearchIndex: install the operator")


def test_no_rights_and_no_login(api: RecordedApi, ssi: Ssi) -> None:
    for code, says in ((403, 'User "jane" cannot list'), (401, "log in again")):
        api.refuse = {"/apis/": code}
        _one_line(ssi("status"), says)
        _one_line(ssi("status", "products"), says)


def test_a_context_that_is_not_there_is_answered_with_those_that_are(api: RecordedApi, ssi: Ssi) -> None:
    _one_line(
        ssi("status", "--context", "production"),
        "the kubeconfig has no context production; it has: staging, test",
    )


@pytest.mark.parametrize("text", ["{", "kind: Config\n", None])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "broken"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    given = ["status", "--kubeconfig", str(path)]
    _one_line(CliRunner().invoke(cli, given, prog_name="kubectl ssi"), "the kubeconfig can't be used: ")


def test_a_cluster_that_is_away(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig("http://127.0.0.1:1"), encoding="utf-8")
    result = CliRunner().invoke(cli, ["status", "--kubeconfig", str(path)])
    _one_line(result, "the API server does not answer", "refused")


def test_the_contexts_namespace_is_the_default(api: RecordedApi, ssi: Ssi) -> None:
    api.add(recorded("serving"))
    assert ssi("explain", "products").exit_code == 0
    _one_line(ssi("explain", "products", "--context", "staging"), "namespace default has no")


def test_every_documented_reason_has_a_remedy() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.split("## What a condition says, and what to do")[1].split("\n## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")][2:]
    reasons = {reason for cell in rows for reason in re.findall(r"[A-Z]\w+", cell)}
    assert len(reasons) > 40
    assert {reason for reason in reasons if not is_known(reason)} == set()


def test_every_page_that_is_named_is_there() -> None:
    source = (REPOSITORY / "operator/search_operator/cli/remedies.py").read_text(encoding="utf-8")
    source = source.replace("{_OPERATIONS}", "docs/operations.md")
    for page, anchor in re.findall(r'"(docs/\w+\.md)#([\w-]+)"', source):
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        heads = [
            re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-")
            for h in re.findall(r"^#+ (.*)$", text, re.M)
        ]
        assert anchor in heads, page


def test_the_kubeconfig_of_these_tests_is_valid() -> None:
    assert yaml.safe_load(kubeconfig("http://x"))["current-context"] == "test"
