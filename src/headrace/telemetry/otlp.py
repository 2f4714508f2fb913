"""OpenTelemetry's SDK, set up as the environment says: what ``headrace serve --otel`` does.

The standard variables hold: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or that of one signal),
``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``,
``OTEL_TRACES_SAMPLER``, ``OTEL_BSP_*``, ``OTEL_METRIC_EXPORT_INTERVAL``.
``OTEL_TRACES_EXPORTER=none`` and ``OTEL_METRICS_EXPORTER=none`` switch one of them off. What is
sent is OTLP over HTTP.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from headrace.errors import MissingExtra
from headrace.telemetry.opentelemetry import instrument

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.metrics import MeterProvider as AnyMeterProvider
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import NoOpTracerProvider
    from opentelemetry.trace import TracerProvider as AnyTracerProvider
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise MissingExtra(
        f"headrace.telemetry.otlp needs {error.name}, which is not installed.",
        hint='pip install "headrace[otel]"',
    ) from None

SERVICE = "headrace"
"""The service's name where the environment gives none."""

FLUSH = 3.0
"""Seconds that the last metrics may take to be sent; the last spans take what the process has."""


@contextmanager
def exporting(*, content: bool = False, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Send spans and metrics of all runs to where the environment says, until the end.

    Args:
        content: As for `instrument`.
        environ: Whether a signal is off, and whether the service has a name; the rest is read by
            the SDK from the process's own.
    """
    named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if named else {"service.name": SERVICE})
    with ExitStack() as stack:
        traces = _traces(stack, resource, environ)
        figures = _metrics(stack, resource, environ)
        stack.callback(instrument(traces, figures, content=content))
        yield


def _traces(stack: ExitStack, resource: Resource, environ: Mapping[str, str]) -> AnyTracerProvider:
    if environ.get("OTEL_TRACES_EXPORTER") == "none":
        return NoOpTracerProvider()
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    stack.callback(provider.shutdown)
    return provider


def _metrics(stack: ExitStack, resource: Resource, environ: Mapping[str, str]) -> AnyMeterProvider:
    if environ.get("OTEL_METRICS_EXPORTER") == "none":
        return NoOpMeterProvider()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], resource, shutdown_on_exit=False)
    stack.callback(provider.shutdown, FLUSH * 1e3)
    return provider
