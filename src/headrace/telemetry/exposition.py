"""Families as text, in Prometheus's exposition format 0.0.4. Pure.

See https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from headrace.telemetry.families import Buckets, Counter, Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


def exposition(families: Iterable[Counter | Histogram]) -> str:
    """All families with all their series; one without a series is left out."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Counter | Histogram) -> Iterator[str]:
    if not family.values:
        return
    yield f"# HELP {family.name} {family.help.translate(_HELP_ESCAPES)}\n"
    yield f"# TYPE {family.name} {family.kind}\n"
    if isinstance(family, Histogram):
        for values, buckets in family.values.items():
            yield from _histogram(
                family.name, list(zip(family.labels, values, strict=True)), buckets
            )
        return
    for values, value in family.values.items():
        pairs = list(zip(family.labels, values, strict=True))
        yield f"{family.name}{_labels(pairs)} {_number(value)}\n"


def _histogram(name: str, labels: list[tuple[str, str]], buckets: Buckets) -> Iterator[str]:
    bounds = [*map(_number, buckets.bounds), "+Inf"]
    for bound, count in zip(bounds, accumulate(buckets.counts), strict=True):
        yield f"{name}_bucket{_labels([*labels, ('le', bound)])} {count}\n"
    yield f"{name}_sum{_labels(labels)} {_number(buckets.total)}\n"
    yield f"{name}_count{_labels(labels)} {buckets.count}\n"


def _labels(pairs: Sequence[tuple[str, str]]) -> str:
    if not pairs:
        return ""
    # A lone surrogate, which a model can write in JSON, is no text that UTF-8 can hold.
    told = (f'{name}="{_encodable(value).translate(_ESCAPES)}"' for name, value in pairs)
    return "{" + ",".join(told) + "}"


def _encodable(value: str) -> str:
    return value.encode("utf-8", "replace").decode("utf-8")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
