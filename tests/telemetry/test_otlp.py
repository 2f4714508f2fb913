"""Spans and metrics over OTLP, to a collector that decodes them: in a program, and as a command."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from headrace import Agent
from headrace.telemetry.opentelemetry import instrument
from headrace.telemetry.otlp import FLUSH
from headrace.testing import ScriptedModel, Step
from headrace.usage import Usage
from tests.server.asking import asking
from tests.telemetry.collector import Collector, attributes, collecting

PATIENCE = 60.0


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


async def test_a_collector_gets_spans_and_metrics(collector: Collector) -> None:
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{collector.url}/v1/traces"))
    )
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{collector.url}/v1/metrics")
    )
    metrics = MeterProvider([reader], shutdown_on_exit=False)
    stop = instrument(traces, metrics)
    try:
        model = ScriptedModel([Step("Hello.", usage=Usage(10, 5))])
        await Agent("bot", model).run("my secret")
    finally:
        stop()
        await asyncio.to_thread(traces.shutdown)
        await asyncio.to_thread(metrics.shutdown)
    chat, root = collector.spans
    assert (chat.name, root.name) == ("chat scripted", "invoke_agent bot")
    assert (chat.parent_span_id, chat.trace_id) == (root.span_id, root.trace_id)
    told = attributes(chat)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.response.finish_reasons"] == ["stop"]
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 5)
    found = collector.metrics
    usage = found["gen_ai.client.token.usage"]
    assert usage.unit == "{token}"
    assert {attributes(p)["gen_ai.token.type"]: p.sum for p in usage.histogram.data_points} == {
        "input": 10,
        "output": 5,
    }
    duration = found["gen_ai.client.operation.duration"]
    (point,) = duration.histogram.data_points
    assert (duration.unit, point.count) == ("s", 1)
    assert list(point.explicit_bounds)[-1] == 81.92
    assert all(b"my secret" not in r.SerializeToString() for r in collector.requests)


# The command ----------------------------------------------------------------------------------


async def serve(
    folder: Path, environ: Mapping[str, str], *arguments: str
) -> tuple[asyncio.subprocess.Process, list[str]]:
    """`headrace serve`, once it listens, and the lines that it wrote so far."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    own = {"HEADRACE_STORE": "memory:", "LLM_PROVIDER": "demo", "HEADRACE_SPEED": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace", "serve", *arguments, "--port", "0"),
        cwd=folder,
        env=kept | own | dict(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while not (lines and lines[-1].startswith("Ctrl-C")):
            line = await process.stdout.readline()
            assert line, "\n".join(lines)
            lines.append(line.decode().strip())
    return process, lines


async def asked(process: asyncio.subprocess.Process, lines: list[str]) -> None:
    """Ask the server something, then stop it."""
    address = next(word for line in lines for word in line.split() if word.startswith("http://"))
    async with asking(address.rstrip(".,")) as ask:
        run = await ask.start("What is 2+2?")
        await ask("GET", f"/v1/runs/{run}/events")
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("switch", [("--otel",), ()])
async def test_a_server_sends_where_the_environment_says(
    tmp_path: Path, collector: Collector, switch: tuple[str, ...]
) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
               "OTEL_EXPORTER_OTLP_HEADERS": "x-key=k1"}  # fmt: skip
    await asked(*await serve(tmp_path, environ, *switch))
    assert {span.name for span in collector.spans} >= {"invoke_agent assistant"}
    assert "gen_ai.client.operation.duration" in collector.metrics
    assert collector.services == {"headrace"}
    assert {headers["x-key"] for headers in collector.headers} == {"k1"}


@pytest.mark.slow
async def test_a_service_has_the_name_that_it_is_given_and_a_signal_may_be_off(
    tmp_path: Path, collector: Collector
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "answers",
        "OTEL_METRICS_EXPORTER": "none",
    }
    await asked(*await serve(tmp_path, environ))
    assert collector.services == {"answers"}
    assert collector.spans
    assert collector.metrics == {}


@pytest.mark.slow
async def test_without_either_nothing_is_sent(tmp_path: Path, collector: Collector) -> None:
    await asked(*await serve(tmp_path, {}))
    assert collector.requests == []


WITHOUT = (
    "import sys; sys.modules['opentelemetry'] = None; sys.argv = ['headrace', *sys.argv[1:]];"
    "from headrace.cli.main import main; main()"
)
INSTALLS = 'pip install "headrace[otel]"'


def without_the_extra(
    folder: Path, code: str, *arguments: str, **environ: str
) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=kept | {"LLM_PROVIDER": "demo"} | environ,
        timeout=PATIENCE,
    )


def test_a_missing_extra_names_the_command_that_installs_it(tmp_path: Path) -> None:
    done = without_the_extra(tmp_path, WITHOUT, "serve", "--otel")
    assert done.returncode == 2
    assert INSTALLS in done.stderr


def test_a_variable_that_stands_there_for_others_stops_no_server(tmp_path: Path) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    taken = ("serve", "--host", "0.0.0.0")  # noqa: S104 - it is refused, and so ends
    done = without_the_extra(tmp_path, WITHOUT, *taken, **endpoint)
    assert done.returncode == 2
    assert "no tokens are set" in done.stderr
    assert "No telemetry is sent" in done.stderr
    assert INSTALLS in done.stderr


@pytest.mark.parametrize("module", ["opentelemetry", "otlp"])
def test_the_modules_themselves_say_so_too(tmp_path: Path, module: str) -> None:
    code = f"import sys; sys.modules['opentelemetry'] = None; import headrace.telemetry.{module}"
    done = without_the_extra(tmp_path, code)
    assert done.returncode == 1
    assert "MissingExtra" in done.stderr
    assert INSTALLS in done.stderr


def test_the_api_alone_is_enough_for_the_instrumentation(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None;"
        "from headrace.telemetry.opentelemetry import instrument; instrument()"
    )
    assert without_the_extra(tmp_path, code).returncode == 0


def test_the_last_metrics_are_waited_for_a_little() -> None:
    assert FLUSH == 3.0
