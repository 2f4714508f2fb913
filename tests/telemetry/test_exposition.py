"""The text format, as Prometheus's own parser reads it."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headrace.telemetry.exposition import CONTENT_TYPE, exposition
from headrace.telemetry.families import Counter, Gauge, Histogram


def read(text: str) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Each sample by its name and labels, as the parser gives it."""
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def of(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def kinds(text: str) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(text)}


def test_a_counter_a_gauge_and_a_histogram() -> None:
    counter, gauge = Counter("runs_total", "Runs.", ("code",)), Gauge("live", "Live.")
    histogram = Histogram("seconds", "Seconds.", (0.5, 2.0), ("model",))
    counter.add(("stop",), 3)
    gauge.set(2)
    for value in (0.25, 1.0, 4.0):
        histogram.add(value, ("m",))
    text = exposition([counter, gauge, histogram])
    assert kinds(text) == {"runs": "counter", "live": "gauge", "seconds": "histogram"}
    assert read(text) == {
        "runs_total": {of(code="stop"): 3},
        "live": {of(): 2},
        "seconds_bucket": {
            of(model="m", le="0.5"): 1,
            of(model="m", le="2"): 2,
            of(model="m", le="+Inf"): 3,
        },
        "seconds_sum": {of(model="m"): 5.25},
        "seconds_count": {of(model="m"): 3},
    }
    assert text == (
        "# HELP runs_total Runs.\n# TYPE runs_total counter\n"
        'runs_total{code="stop"} 3\n'
        "# HELP live Live.\n# TYPE live gauge\nlive 2\n"
        "# HELP seconds Seconds.\n# TYPE seconds histogram\n"
        'seconds_bucket{model="m",le="0.5"} 1\n'
        'seconds_bucket{model="m",le="2"} 2\n'
        'seconds_bucket{model="m",le="+Inf"} 3\n'
        'seconds_sum{model="m"} 5.25\nseconds_count{model="m"} 3\n'
    )


def test_a_family_without_a_series_is_left_out() -> None:
    assert exposition([Counter("c_total", "C.", ("code",)), Histogram("h", "H.", (1.0,))]) == ""


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5, unique=True))
def test_any_name_comes_through_whole(names: Iterable[str]) -> None:
    counter = Counter("tools_total", 'Back\\slash\nand "quotes".', ("tool",))
    for name in names:
        counter.add((name,))
    read_back = read(exposition([counter]))["tools_total"]
    assert read_back == {of(tool=name): 1 for name in names}


def test_a_lone_surrogate_is_text_all_the_same() -> None:
    counter = Counter("tools_total", "Tools.", ("tool",))
    counter.add(("a\ud800b",))
    text = exposition([counter])
    text.encode()
    assert 'tool="a?b"' in text


def test_the_type_says_the_version() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
