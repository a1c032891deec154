"""Reading the gauge: exactly what the encoder exposes, or an error; never a 0 that nobody said."""

import pytest
from search_operator.metrics_api.readings import inflight_tokens
from search_operator.metrics_api.wire import quantity
from search_plane.encoder.metrics import Metrics


def test_it_is_read_from_a_real_encoders_page() -> None:
    metrics = Metrics()
    metrics.inflight_tokens.set(321)
    metrics.reranking.inflight_tokens.set(99)
    assert inflight_tokens(metrics.exposition().decode()) == 321


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<html>not found</html>",
        "encoder_inflight_tokens",
        "encoder_inflight_tokens NaN",
        "encoder_inflight_tokens +Inf",
        "encoder_inflight_tokens -3",
        "encoder_inflight_tokens nothing",
        "encoder_inflight_tokens_total 7",
        'encoder_inflight_tokens{a="1"} 7\nencoder_inflight_tokens{a="2"} 7',
    ],
)
def test_anything_else_is_an_error(page: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        inflight_tokens(page)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1200, "1200"), (0.5, "500m"), (1e12, "1000000000000"), (0.0004, "0")]
)
def test_quantities_are_exact_to_a_thousandth(value: float, text: str) -> None:
    assert quantity(value) == text
