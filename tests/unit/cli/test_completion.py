"""What the tab key offers, in the protocol that kubectl speaks with plugins."""

import pytest
from search_operator.cli.completion import completions

from tests.unit.cli.recorded_api import RecordedApi
from tests.unit.cli.recorded_indexes import recorded


def test_verbs_options_and_files() -> None:
    *verbs, directive = completions(["re"]).splitlines()
    assert [verb.split("\t")[0] for verb in verbs] == ["refresh", "resume"]
    assert all(verb.split("\t")[1] for verb in verbs)
    assert directive == ":4"
    assert completions(["rollback", "--d"]).splitlines()[0].startswith("--dry-run\t")
    assert completions(["status", "-o", ""]).splitlines() == ["text", "json", ":4"]
    assert completions(["plan", "-f", "pro"]).splitlines() == [":0"]


def test_names_of_the_namespace_that_is_given(api: RecordedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add(recorded("serving"))
    other = recorded("serving")
    other["metadata"] |= {"name": "shoes", "namespace": "default"}
    api.add(other)
    kubeconfig = ("--kubeconfig", str(api.kubeconfig))
    assert completions(["status", *kubeconfig, ""]).splitlines() == ["products", ":4"]
    assert completions(["pause", "-n", "default", *kubeconfig, "sh"]).splitlines() == ["shoes", ":4"]
    assert completions(["cost", *kubeconfig, "x"]).splitlines() == [":4"]
    api.refuse = {"/apis/": 403}
    assert completions(["status", *kubeconfig, ""]).splitlines() == [":4"]
