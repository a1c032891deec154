"""Label selectors in a URL mean what they mean to the API server."""

import pytest
from search_operator.metrics_api.selector import parsed

LABELS = {"app": "encoder", "semanticsearch.io/index": "products", "empty": ""}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "app=encoder",
        "app==encoder",
        "app = encoder , semanticsearch.io/index=products",
        "app!=gateway",
        "other!=encoder",
        "app in (gateway, encoder)",
        "app notin (gateway)",
        "other notin (a)",
        "app",
        "!other",
        "empty=",
        "app,!other,semanticsearch.io/index in (products)",
    ],
)
def test_it_takes(selector: str) -> None:
    assert parsed(selector)(LABELS)


@pytest.mark.parametrize(
    "selector",
    [
        "app=gateway",
        "app!=encoder",
        "app in (gateway)",
        "app notin (encoder,gateway)",
        "other in (a)",
        "other=encoder",
        "other",
        "!app",
        "app=",
        "app=encoder,other",
    ],
)
def test_it_takes_not(selector: str) -> None:
    assert not parsed(selector)(LABELS)


@pytest.mark.parametrize(
    "selector", ["(", "app=a b", "app in a", "=a", "app=a,", ",app", "app>1", "app in (a"]
)
def test_what_cannot_be_read_is_an_error(selector: str) -> None:
    with pytest.raises(ValueError, match="can't read the label selector"):
        parsed(selector)
