"""Reading the search log back: what is an event, and which click belongs to which answer."""

import gzip
import io
from pathlib import Path

import click
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_plane.listening.events import Click, Exposure, Malformed, joined, parsed
from search_plane.listening.experiment_command import in_utc
from search_plane.listening.reading import Source, read_searches

from tests.testbed.search_traffic import EQUAL, lines, traffic
from tests.unit.listening.log_lines import START, click_on, exposure, search


def test_what_the_gateway_writes_is_read_back_whole() -> None:
    events = traffic(40, EQUAL)
    read = [parsed("x", orjson.loads(line)) for line in lines(events)]
    assert all(isinstance(one, Exposure | Click) for one in read)
    found = joined(one for one in read if isinstance(one, Exposure | Click))
    assert found.left_out == {}
    shown = [event for event in events if event["event"] == "exposure"]
    assert len(found.searches) == len(shown)
    assert sum(len(one.clicks) for one in found.searches) == len(events) - len(shown)
    for written, one in zip(shown, found.searches, strict=True):
        assert (one.shown.query, one.shown.bucket, one.shown.arm, list(one.shown.hits)) == (
            written["query"], written["bucket"], written["arm"], written["hits"],
        )  # fmt: skip


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], {}, {"event": "started"}, {"message": "exposure", "name": "x"}]
)
def test_lines_of_others_are_no_events(value: object) -> None:
    assert parsed("x", value) is None


@given(
    st.dictionaries(
        st.sampled_from(["@timestamp", "search_id", "event_id", "query", "hits", "rank", "id"]), st.text()
    )
)
def test_a_broken_event_is_told_and_never_raises(fields: dict[str, str]) -> None:
    one = parsed("log line 7", fields | {"event": "click"})
    assert isinstance(one, Malformed | Click)
    if isinstance(one, Malformed):
        assert one.place == "log line 7"
        assert one.reason


def test_the_first_click_by_time_counts() -> None:
    shown = exposure()
    (found,) = joined([click_on(shown, 3, seconds=9), shown, click_on(shown, 2, seconds=4)]).searches
    assert found.reciprocal_rank == 0.5
    assert [one.rank for one in found.clicks] == [2, 3]
    assert search().reciprocal_rank == 0.0


def test_clicks_that_can_t_be_are_left_out_and_counted() -> None:
    shown, later = exposure(), exposure(offset=10)
    forged = [
        click_on(shown, 1, id="B"),
        click_on(shown, 1).model_copy(update={"rank": 9}),
        click_on(shown, 1, search_id="nobody's"),
        click_on(later, 11).model_copy(update={"rank": 1}),
    ]
    good = click_on(later, 12)
    found = joined([shown, later, *forged, good, good])
    assert [one.clicks for one in found.searches] == [(), (good,)]
    assert found.left_out == {
        "a click on what was not shown there": 3, "a click without its answer": 1, "written twice": 1,
    }  # fmt: skip


def test_a_request_id_that_is_used_again_counts_once() -> None:
    first = exposure()
    second = exposure(search_id=first.search_id)
    found = joined([first, second])
    assert [one.shown for one in found.searches] == [first]
    assert found.left_out == {"another answer under the same request id": 1}


def test_files_of_several_kinds_are_one_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = list(lines(traffic(30, EQUAL)))
    (tmp_path / "one.jsonl").write_bytes(
        b"".join(written[:50]) + b"\nnot JSON\n{half\n" + b'{"name":"uvicorn"}\n'
    )
    with gzip.open(tmp_path / "two.jsonl.gz", "wb") as stream:
        stream.write(b"".join(written[50:-5]) + b'{"event":"click","search_id":"s"}\n')

    class Stdin:
        buffer = io.BytesIO(b"".join(written[-5:]))

    monkeypatch.setattr("sys.stdin", Stdin)
    files = (tmp_path / "one.jsonl", tmp_path / "two.jsonl.gz", Path("-"))
    found = read_searches(Source(files=files))
    assert len(found.searches) == sum(b'"exposure"' in line for line in written)
    assert found.left_out == {"malformed": 1, "a line of another logger": 3}
    told = capsys.readouterr().err
    assert "left out two.jsonl.gz line" in told
    assert "@timestamp" in told


def test_times_bound_the_searches_and_keep_their_clicks(tmp_path: Path) -> None:
    inside, outside = exposure(seconds=60), exposure(seconds=3700)
    rows = [inside, outside, click_on(inside, 1, seconds=3600)]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(orjson.dumps(one.model_dump(by_alias=True)) + b"\n" for one in rows))
    hour = Source((path,), since=START, until=START.replace(hour=10))
    (found,) = read_searches(hour).searches
    assert found.shown == inside
    assert found.clicked
    assert in_utc(START.replace(tzinfo=None)) == START


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source(), "--log FILE, or --elasticsearch"),
        (Source((Path("a"),), "http://x"), "either --log"),
        (Source(elasticsearch="http://x"), "--index"),
        (Source((Path("nowhere.jsonl"),)), "nowhere.jsonl: can't be read"),
        (Source((Path("/dev/null"),)), "no searches in the log"),
    ],
)
def test_a_log_that_can_t_be_read_is_one_line_with_the_remedy(source: Source, message: str) -> None:
    with pytest.raises(click.ClickException, match=message):
        read_searches(source)
