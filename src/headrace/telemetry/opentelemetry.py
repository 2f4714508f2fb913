"""Runs as OpenTelemetry's spans and metrics, by the conventions for generative AI.

``invoke_agent`` for a run and each sub-agent, ``chat`` for each model call, ``execute_tool`` for
each tool; names are in `headrace.telemetry.conventions`. Needs the API alone to be imported; to
send anything a program sets up the SDK, or lets `headrace.telemetry.otlp` do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import headrace
from headrace.errors import MissingExtra
from headrace.events import Answer, Event, StepEnd, ToolEnd
from headrace.runs.observer import Watch, watch_all
from headrace.telemetry import conventions as names
from headrace.telemetry.figures import (
    AgentCall,
    Measured,
    ModelCall,
    Recorder,
    RunEnded,
    ToolCall,
    Warned,
    Withdrawn,
    named,
)

try:
    from opentelemetry import metrics, trace

    from headrace.telemetry.instruments import Instruments, Sample, labels_of
    from headrace.telemetry.span_content import told_messages
    from headrace.telemetry.spans import RunSpans
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise MissingExtra(
        f"headrace.telemetry.opentelemetry needs {error.name}, which is not installed.",
        hint='pip install "headrace[otel]"',
    ) from None

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from headrace.runs.run import Run


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    content: bool = False,
) -> Callable[[], None]:
    """Make spans and metrics of every run that begins in this process from now on.

    A run that begins within a span is its child, and what its tools and its model's HTTP client
    do is below the tool's and the model call's spans.

    Args:
        tracer_provider: By default the global one.
        meter_provider: By default the global one.
        content: Whether spans hold prompts, answers, and tools' arguments and results (at most
            64 Ki characters of each). Without it nothing that anyone says leaves the process.

    Returns:
        A function that stops it; runs that are live are followed to their ends.
    """
    return watch_all(watcher(tracer_provider, meter_provider, content=content))


def watcher(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    content: bool = False,
) -> Watch:
    """What makes spans and metrics of the runs that it is given to watch; see `instrument`."""
    version = headrace.__version__
    tracer = trace.get_tracer(names.SCOPE, version, tracer_provider)
    instruments = Instruments(metrics.get_meter(names.SCOPE, version, meter_provider))
    return lambda run: _Exporting(run, tracer, instruments, content)


class _Exporting(Recorder):
    """Exports one run."""

    def __init__(self, run: Run, tracer: Tracer, instruments: Instruments, content: bool) -> None:
        info = run.info
        super().__init__(info.model, Sample)
        self._name = info.agent_name
        self._instruments = instruments
        self._labels = labels_of(*named(info.model))
        self._spans = RunSpans(tracer, run.id, info, self._labels, content)
        if content:
            self._spans.root.set_attribute(names.INPUT_MESSAGES, told_messages(run.asked))
        instruments.begin(info.agent_name)

    def event(self, event: Event) -> None:
        kind = type(event)
        if kind is StepEnd or kind is ToolEnd:
            self._spans.leave(event)
        elif isinstance(event, Answer):
            self._spans.answer(event)
        super().event(event)

    def lost(self) -> None:
        super().lost()
        self._spans.lose()
        self._instruments.run(self._name, None)

    def tell(self, measured: Measured, event: Event | None) -> None:
        match measured:
            case ModelCall() | ToolCall() | AgentCall():
                if measured.ended:
                    self._end(measured, event)
                elif event is not None:
                    self._spans.begin(measured, event)
            case RunEnded():
                self._spans.finish(measured, event)
                self._instruments.run(self._name, measured)
            case Warned() if event is not None:
                self._spans.warn(event.agent, measured.code, event.at)
                if measured.retry:
                    self._instruments.retry(self._labels, measured.code)
            case Withdrawn():
                self._instruments.retract(self._labels, measured.reason)

    def _end(self, call: ModelCall | ToolCall | AgentCall, event: Event | None) -> None:
        self._spans.end(call, event)
        match call:
            case ModelCall():
                self._instruments.call(call)
            case ToolCall():
                self._instruments.tool(call)
            case AgentCall():
                self._instruments.agent(call)
