"""Traffic by the hour: the built-in year, and CSVs that are read or refused with their line."""

from zoneinfo import ZoneInfo

import pytest
from search_operator.money.months import HOUR, moment_of
from search_operator.simulation.traffic import BadTrace, as_csv, built_in, read_trace

SHANGHAI = ZoneInfo("Asia/Shanghai")
HEAD = "time,queries_per_second\n"


@pytest.mark.parametrize(("year", "hours"), [(2026, 8760), (2028, 8784)])
def test_the_built_in_year_is_busiest_on_the_evening_before_double_11(year: int, hours: int) -> None:
    trace = built_in(year, 10_000, SHANGHAI)
    assert len(trace.rates) == hours
    busiest = moment_of(trace.start + trace.rates.index(max(trace.rates)) * HOUR).astimezone(SHANGHAI)
    assert (busiest.month, busiest.day, busiest.hour) == (11, 10, 21)
    assert max(trace.rates) == pytest.approx(10_000)
    june = [rate for hour, rate in enumerate(trace.rates) if _month(trace.start + hour * HOUR) == 6]
    assert max(june) > 1.8 * sorted(june)[len(june) // 2]


def _month(at: int) -> int:
    return moment_of(at).astimezone(SHANGHAI).month


def test_a_trace_is_read_as_it_was_written() -> None:
    trace = built_in(2026, 8_000, SHANGHAI)
    again = read_trace(as_csv(trace))
    assert again.start == trace.start
    assert again.rates == pytest.approx(trace.rates, abs=0.06)


def test_within_five_minutes_of_an_hour_everybody_is_there() -> None:
    trace = read_trace(HEAD + "2026-11-10T19:00:00+08:00,1000\n2026-11-10T20:00:00+08:00,9000\n")
    eight = trace.start + HOUR
    assert [trace.at(eight + minute * 60_000) for minute in (-1, 0, 1, 5, 59)] == [
        1000,
        1000,
        2600,
        9000,
        9000,
    ]
    assert trace.end == eight + HOUR


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1 is ''; write time,queries_per_second"),
        ("hour,load\n", "line 1 is 'hour,load'"),
        (HEAD, "has no hour"),
        (HEAD + "2026-11-10 at eight,1\n", "line 2: Invalid isoformat"),
        (HEAD + "2026-11-10T20:00:00,1\n", "line 2: 2026-11-10T20:00:00 has no zone"),
        (HEAD + "2026-11-10T20:00:00Z,many\n", "line 2: could not convert"),
        (HEAD + "2026-11-10T20:00:00Z\n", "line 2: "),
        (HEAD + "2026-11-10T20:00:00Z,nan\n", "line 2: queries_per_second is nan"),
        (HEAD + "2026-11-10T20:00:00Z,-1\n", "line 2: queries_per_second is -1.0"),
        (
            HEAD + "2026-11-10T20:00:00Z,1\n2026-11-10T22:00:00Z,1\n",
            "line 3: 2026-11-10T22:00:00Z does not follow",
        ),
        (
            HEAD + "2026-11-10T20:00:00Z,1\n2026-11-10T20:00:00Z,1\n",
            "line 3: 2026-11-10T20:00:00Z does not follow",
        ),
    ],
)
def test_a_bad_trace_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(BadTrace) as error:
        read_trace(text)
    assert says in str(error.value)
