"""What happened in a process's runs, for Prometheus: ``GET /metrics`` of the server.

Without a server::

    figures = Prometheus()
    stop = watch_all(figures.watch)
    …
    figures.text()

All is counted here and written as text; nothing needs to be installed (see
docs/decisions/0007-metrics-without-a-client-library.md).
"""

from __future__ import annotations

from collections.abc import Iterable

import headrace
from headrace.events import Event
from headrace.runs.observer import Observer
from headrace.runs.run import Run
from headrace.telemetry.exposition import exposition
from headrace.telemetry.families import Buckets, Counter, Gauge, Histogram
from headrace.telemetry.figures import (
    AgentCall,
    Measured,
    ModelCall,
    Recorder,
    RunBegan,
    RunEnded,
    ToolCall,
    Warned,
    Withdrawn,
    named,
)

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Bounds of what takes a while: a whole run, a model call, a tool."""

FIRST = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Bounds of the wait for the first content, fine where people begin to feel it."""

GAPS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Bounds of the time between contents: models give 10 to 200 pieces a second."""

SPEED = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 400.0, 800.0)
"""Bounds of tokens a second."""

RUN = ("agent", "provider", "model")
MODEL = ("provider", "model")


class Prometheus:
    """Counts what happens in the runs that it watches.

    Attributes:
        runs: Those that go on, by id.
    """

    def __init__(self) -> None:  # long: a metric each, and nothing else
        self.runs: dict[str, Run] = {}
        name = "headrace_"
        self.live = Gauge(name + "runs_live", "Runs that go on in this process.", ("agent",))
        self.started = Counter(name + "runs_started_total", "Runs that have begun.", RUN)
        self.ended = Counter(
            name + "runs_total",
            "Runs that have ended: complete (reason: why), error (reason: its code), cancelled, "
            "or lost (they go on elsewhere, or their store failed).",
            (*RUN, "status", "reason"),
        )
        self.run_seconds = Histogram(
            name + "run_duration_seconds", "From a run's start to its end.", SECONDS, RUN
        )
        self.first_token = Histogram(
            name + "run_time_to_first_token_seconds",
            "From a run's start to the first piece of its answer.",
            FIRST,
            RUN,
        )
        self.speed = Histogram(
            name + "run_tokens_per_second",
            "A run's generated tokens over the time of its model calls.",
            SPEED,
            RUN,
        )
        self.chunks = Counter(name + "run_chunks_total", "Pieces of answers.", RUN)
        self.chars = Counter(name + "run_chars_total", "Characters of answers.", RUN)
        self.calls = Counter(
            name + "model_calls_total",
            "Model calls that have ended, by finish reason and error.",
            (*MODEL, "finish_reason", "error"),
        )
        self.call_seconds = Histogram(
            name + "model_call_duration_seconds", "How long model calls took.", SECONDS, MODEL
        )
        self.first_chunk = Histogram(
            name + "model_time_to_first_chunk_seconds",
            "From the request to the first content: text, reasoning or a call's arguments.",
            FIRST,
            MODEL,
        )
        self.gaps = Histogram(
            name + "model_chunk_gap_seconds",
            "Between contents; what came in one read counts once.",
            GAPS,
            MODEL,
        )
        self.tokens = Counter(
            name + "model_tokens_total",
            "Tokens: input, output; and of these cached, reasoning.",
            (*MODEL, "type"),
        )
        self.tool_seconds = Histogram(
            name + "tool_duration_seconds", "How long tools took.", SECONDS, ("tool", "error")
        )
        self.agent_seconds = Histogram(
            name + "agent_duration_seconds",
            "How long sub-agents took.",
            SECONDS,
            ("agent", "error"),
        )
        self.retries = Counter(
            name + "retries_total",
            "Models that were asked again: retry, fallback, reconnect.",
            (*MODEL, "code"),
        )
        self.retracts = Counter(
            name + "retracts_total", "Shown text that was withdrawn.", (*MODEL, "reason")
        )
        self.warnings = Counter(name + "warnings_total", "Warnings of all kinds.", ("code",))
        self.build = Gauge(name + "build_info", "Always 1.", ("version",))
        self.build.set(1, (headrace.__version__,))

    def watch(self, run: Run) -> Observer:
        """For `watch_all`, or a runtime's `watches`."""
        return _Counting(self, run)

    def text(self, more: Iterable[Gauge] = ()) -> str:
        """All of it in the exposition format, with what else the caller knows."""
        own = (v for v in vars(self).values() if isinstance(v, Counter | Histogram))
        return exposition((*own, *more))


class _Counting(Recorder):
    """Counts one run."""

    def __init__(self, figures: Prometheus, run: Run) -> None:
        info = run.info
        super().__init__(info.model, _gaps)
        self._figures = figures
        self._id = run.id
        self._of_model = named(info.model)
        self._of_run = (info.agent_name, *self._of_model)
        figures.runs[run.id] = run
        figures.live.add((info.agent_name,))

    def lost(self) -> None:
        super().lost()
        self._end("lost", "")

    def tell(self, measured: Measured, event: Event | None) -> None:
        figures = self._figures
        match measured:
            case ModelCall() | ToolCall() | AgentCall():
                if measured.ended:
                    self._ended(measured)
            case RunBegan():
                figures.started.add(self._of_run)
            case RunEnded():
                self._run(measured)
            case Warned():
                figures.warnings.add((measured.code,))
                if measured.retry:
                    figures.retries.add((*self._of_model, measured.code))
            case Withdrawn():
                figures.retracts.add((*self._of_model, measured.reason))

    def _ended(self, call: ModelCall | ToolCall | AgentCall) -> None:
        match call:
            case ModelCall():
                self._call(call)
            case ToolCall():
                self._figures.tool_seconds.add(call.seconds, (call.name, call.error))
            case AgentCall():
                self._figures.agent_seconds.add(call.seconds, (call.name, call.error))

    def _call(self, call: ModelCall) -> None:
        figures, of_model = self._figures, (call.provider, call.model)
        figures.calls.add((*of_model, call.finish_reason, call.error))
        figures.call_seconds.add(call.seconds, of_model)
        if call.first is not None:
            figures.first_chunk.add(call.first, of_model)
        if isinstance(call.gaps, Buckets):
            figures.gaps.merge(call.gaps, of_model)
        for kind in ("input", "output", "cached", "reasoning"):
            if amount := getattr(call.usage, kind):
                figures.tokens.add((*of_model, kind), amount)

    def _run(self, end: RunEnded) -> None:
        figures, of_run, metrics = self._figures, self._of_run, end.metrics
        figures.run_seconds.add(metrics.duration_ms / 1e3, of_run)
        if metrics.time_to_first_token_ms is not None:
            figures.first_token.add(metrics.time_to_first_token_ms / 1e3, of_run)
        if metrics.tokens_per_second:
            figures.speed.add(metrics.tokens_per_second, of_run)
        figures.chunks.add(of_run, metrics.chunks)
        figures.chars.add(of_run, metrics.chars)
        self._end(end.status, end.reason)

    def _end(self, status: str, reason: str) -> None:
        self._figures.ended.add((*self._of_run, status, reason))
        self._figures.live.add((self._of_run[0],), -1)
        self._figures.runs.pop(self._id, None)


def _gaps() -> Buckets:
    return Buckets(GAPS)
