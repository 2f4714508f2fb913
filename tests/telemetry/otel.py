"""OpenTelemetry's SDK with everything kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from headrace.runs.run import Outcome
from headrace.runs.writer import Writer
from headrace.telemetry.opentelemetry import instrument
from tests.support.drivers import DONE

Points = dict[frozenset[tuple[str, Any]], Any]


class Kept:
    """What was exported so far."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.traces = TracerProvider(shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self.metrics = MeterProvider([self._reader], shutdown_on_exit=False)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one of this name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    def tree(self) -> list[tuple[str, str]]:
        """Each span with its parent's name, in the order of their ends."""
        by_id = {span.context.span_id: span.name for span in self.spans if span.context}
        return [
            (span.name, by_id.get(span.parent.span_id, "?") if span.parent else "")
            for span in self.spans
        ]

    def points(self, name: str) -> Points:
        """A metric's data points by their attributes; none where nothing was recorded."""
        data = self._reader.get_metrics_data()
        metrics = [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]
        return {
            frozenset((point.attributes or {}).items()): point
            for metric in metrics
            for point in metric.data.data_points
        }

    def everything(self) -> str:
        """All that left, as text."""
        spans = "".join(span.to_json() for span in self.spans)
        data = self._reader.get_metrics_data()
        return spans + (data.to_json() if data else "")


@contextmanager
def exported(*, content: bool = False) -> Iterator[Kept]:
    """Instrumented, and what comes of it."""
    kept = Kept()
    stop = instrument(kept.traces, kept.metrics, content=content)
    try:
        yield kept
    finally:
        stop()


def of(**labels: str) -> frozenset[tuple[str, str]]:
    """Attributes, with ``__`` for a dot."""
    return frozenset((key.replace("__", "."), value) for key, value in labels.items())


CHAT = {
    "gen_ai__operation__name": "chat",
    "gen_ai__provider__name": "scripted",
    "gen_ai__request__model": "scripted",
}


async def waits(_: Writer) -> Outcome:
    """A driver that goes on for ever."""
    await asyncio.get_running_loop().create_future()
    return DONE
