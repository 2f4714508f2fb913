"""``python -m bench.telemetry``: what it costs a run to be measured.

The task of the table *Flat out* (`run_stream`, 1,000 chunks an answer), answer after answer in one
process: in turn with no one watching, with the server's figures, with OpenTelemetry's SDK, whose
metrics are recorded for many answers at once: so answers are counted in groups that hold that. And
an answer whose chunks come one by one, as a live model gives them, without a pause or a wire.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from bench import bodies, client
from bench.measure import replay_server
from bench.report import checks_text, section_text
from bench.sections import Check, Section, number
from headrace import Agent
from headrace.models.deltas import Delta, Finish, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.providers.table import resolve_model
from headrace.runs.observer import Watch, watch_all
from headrace.telemetry.instruments import MAX_PENDING
from headrace.telemetry.opentelemetry import watcher
from headrace.telemetry.prometheus import Prometheus

LIMIT = 5.0  # per cent
WARM_UP = 5  # answers
GROUP = MAX_PENDING // 2  # answers: each puts its call and its run aside, then all are recorded


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    answers: int = 15 * GROUP  # of each kind


QUICK = Size(answers=3 * GROUP)

Watching = Callable[[], AbstractContextManager[None]]


def watchers() -> dict[str, Watching]:
    """Who may watch, by name; each is made once, as in a program."""
    figures = Prometheus()
    spans = InMemorySpanExporter()

    def metrics() -> MeterProvider:
        return MeterProvider([InMemoryMetricReader()])

    def traces(share: float) -> TracerProvider:
        made = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)))
        made.add_span_processor(BatchSpanProcessor(spans))
        return made

    @contextmanager
    def watched(watch: Watch) -> Iterator[None]:
        stop = watch_all(watch)
        try:
            yield
        finally:
            stop()
            spans.clear()

    every, few = watcher(traces(1.0), metrics()), watcher(traces(0.1), metrics())
    return {
        "no one": nullcontext,
        "Prometheus": lambda: watched(figures.watch),
        "OpenTelemetry, every run": lambda: watched(every),
        "OpenTelemetry, 1 run in 10": lambda: watched(few),
    }


async def drain(agent: Agent) -> int:
    chars = 0
    async for chunk in agent.run_stream(client.PROMPT):
        chars += len(chunk.content)
    return chars


async def measured(agent: Agent, size: Size) -> dict[str, float]:
    """CPU microseconds a chunk under each watcher: medians over groups of answers, in turn."""
    kinds = watchers()
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for nth in range(size.answers + WARM_UP):
        for name in kinds if nth % 2 else reversed(kinds):
            with kinds[name]():
                begin = time.process_time_ns()
                chars = await drain(agent)
                took = time.process_time_ns() - begin
            assert chars == bodies.chars(bodies.FLAT_CHUNKS)
            if nth >= WARM_UP:
                found[name].append(took / 1e3 / bodies.FLAT_CHUNKS)
    return {name: statistics.median(grouped(values)) for name, values in found.items()}


def grouped(values: list[float]) -> list[float]:
    """The means of each `GROUP` of values."""
    return [statistics.fmean(values[at : at + GROUP]) for at in range(0, len(values), GROUP)]


class OneByOne(BaseModel):
    """Gives each word in a read of its own."""

    async def open(self, request: ModelRequest) -> _Words:
        return _Words()


class _Words:
    def __init__(self) -> None:
        self._words = iter(bodies.words(bodies.FLAT_CHUNKS))

    async def read(self) -> list[Delta]:
        await asyncio.sleep(0)  # as a socket's next read
        word = next(self._words, None)
        return [Finish("stop", "stop")] if word is None else [TextDelta(word)]

    async def close(self) -> None:
        """Nothing is open."""


def section(base: str, size: Size) -> Section:
    """The table and its checks."""
    made = Section(
        "Telemetry",
        "CPU time for a chunk of `run_stream`, by who watches: no one, the figures behind "
        "`/metrics`, OpenTelemetry's SDK (metrics, and spans of all or some runs, to memory). "
        f"They take turns in one process: medians over groups of {GROUP}, of {size.answers} "
        f"answers of {bodies.FLAT_CHUNKS:,} chunks. *Flat out* is the table above. *One a read* is "
        "a model in the same process that gives chunk by chunk: what counts there is what is "
        "added, beside the 40 µs that a chunk of a live answer costs in the table of 500 streams.",
        ["what", "watched by", "µs of CPU a chunk", "added µs a chunk", "added"],
    )
    wire = resolve_model(f"openai:{client.MODEL}", base_url=f"{base}/flat/v1", api_key="test")
    models = {"flat out": wire, "one a read": OneByOne("bench", "one")}
    for what, model in models.items():
        found = asyncio.run(measured(Agent("bench", model), size))
        free = found["no one"]
        for name, cost in found.items():
            added = (cost / free - 1) * 100
            print(f"  {what:10} {name:26} {cost:.3f} us a chunk {added:+.1f} %", flush=True)
            line = [what, name, number(cost, ".2f"), "", ""]
            if name != "no one":
                line[3] = number(cost - free, "+.2f")
            if name != "no one" and model is wire:
                line[4] = f"{added:+.1f}%"
                check = f"telemetry, flat out, {name}: CPU that it adds to run_stream"
                made.checks.append(Check(check, LIMIT, "%", added))
            made.lines.append(line)
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer answers")
    size = QUICK if parser.parse_args().quick else Size()
    client.pin(1)
    with replay_server() as base:
        made = section(base, size)
    print(section_text(made))
    print(checks_text([made]))


if __name__ == "__main__":
    main()
