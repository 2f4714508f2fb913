"""What is measured of a server: starts one, and a client with its viewers, and reads the CPU.

Server and client are processes of their own on different cores; the server reads its own CPU time.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench import environments
from bench.measure import Result
from bench.rows import Row
from bench.server_control import Child, ChildFailed

VIEWERS = 200
RATE = 50  # events a second
RAMP = 2.0  # seconds in which the relayed runs are started
NOWHERE = "http://127.0.0.1:9"
FRAME = (
    'id: 1234\ndata: {"type":"token","seq":1234,"at":1754000000.015625,"agent":"",'
    '"content":" word","index":1230}\n\n'
)
"""A token in Headrace's native protocol: the ready bytes of the floor have its length."""


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    seconds: float = 4.0  # of a paced window
    events: int = 1_000  # of each of the runs that go flat out
    relayed: float = 8.0  # seconds of the window of relayed runs
    idle: int = 1_000  # viewers
    rounds: int = 5


QUICK = Size(seconds=1.5, events=300, relayed=2.0, rounds=2)


@dataclass(frozen=True)
class Case:
    """A server, and what it is asked for: a path for the floor and peers, else a message."""

    row: Row
    message: str = ""
    agent: str = "bench"
    name: str = ""
    pause: int = 1  # events that a floor or peer sends flat out before it lets others go on

    @property
    def ours(self) -> bool:
        return self.row.module == "bench.server_ours"

    def request(self, path: str) -> str:
        """What a viewer sends that begins its own stream."""
        if not self.ours:
            return f"GET /{path} HTTP/1.1\r\nhost: bench\r\n\r\n"
        body = json.dumps({"input": self.message, "agent": self.agent})
        return (
            "POST /v1/runs HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        )

    def watching(self, path: str, port: int) -> str:
        """What a viewer sends that joins the others; ours begins their one run first."""
        if not self.ours:
            return self.request(path)
        body = json.dumps({"input": self.message}).encode()
        begin = urllib.request.Request(  # loopback
            f"http://127.0.0.1:{port}/v1/runs",
            data=body,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(begin, timeout=30) as response:  # noqa: S310
            events = json.load(response)["events"]
        return f"GET {events} HTTP/1.1\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n"


class Pair:
    """A server and its client, both ready."""

    def __init__(self, server: Child, client: Child) -> None:
        self.server = server
        self.client = client
        self.port = server.ready["port"]

    def open(self, request: str, count: int, **more: object) -> None:
        """`count` more viewers.

        Raises:
            ChildFailed: they were refused.
        """
        _accepted(self.client.ask("open", port=self.port, request=request, count=count, **more))

    def window(self, seconds: float) -> Result:
        """CPU of the server for each event that came within `seconds`, and how late they were."""
        before = self.server.ask("stats")
        seen = _accepted(self.client.ask("window", seconds=seconds))
        return {
            **self.spent(before, seen["frames"]),
            "read_share": seen["frames"] / (VIEWERS * RATE * seconds),
            **{key: seen[key] for key in ("late_ms_p50", "late_ms_p99")},
        }

    def spent(self, before: dict[str, Any], events: int) -> Result:
        """The server's CPU for each of `events` since `before`, and its share of its core."""
        after = self.server.ask("stats")
        cpu, wall, waited = (after[k] - before[k] for k in ("cpu", "at", "waited"))
        return {"us": cpu / max(1, events) * 1e6, "core": cpu / wall, "waited": waited / wall}


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["refused"]:
        raise ChildFailed(answer["refused"])
    return answer


@contextmanager
def pair(case: Case, **more: object) -> Iterator[Pair]:
    """Both of them, started for this case and ended at the end."""
    task = {"frame": FRAME, "rate": RATE, "upstream": NOWHERE, "events": 0, "pause": case.pause}
    task |= more
    row, root = case.row, str(environments.ROOT)
    command = [str(row.python()), "-m", row.module, *filter(None, [row.argument]), json.dumps(task)]
    viewing = [sys.executable, "-m", "bench.server_client"]
    with (
        Child(command, root, environments.variables()) as server,
        Child(viewing, root, environments.variables()) as client,
    ):
        yield Pair(server, client)


def paced(case: Case, size: Size) -> Result:
    """One live run, and its viewers."""
    with pair(case) as both:
        both.open(case.watching("paced", both.port), VIEWERS, frames=10)
        return both.window(size.seconds)


def flat(case: Case, size: Size) -> Result:
    """Many runs with a viewer each, none of which pauses; the connections are not counted."""
    with pair(case, events=size.events) as both:
        both.open(case.request("flat"), VIEWERS)
        time.sleep(0.3)  # whatever was begun with the connections
        before = both.server.ask("go")
        read = _accepted(both.client.ask("finish"))
        events = VIEWERS * size.events
        return {**both.spent(before, events), "read_share": read["frames"] / events}


def relay(case: Case, size: Size, base: str) -> Result:
    """Many live runs from a provider, with a viewer each."""
    count = int(RATE * (RAMP + 1.5 + size.relayed))
    with pair(case, upstream=f"{base}/paced{RATE}x{count}/v1") as both:
        both.open(case.request("relay"), VIEWERS, ramp=RAMP, frames=3)
        return both.window(size.relayed)


def idle(case: Case, size: Size) -> Result:
    """Memory of a viewer who waits; the first hundred are not counted."""
    with pair(case) as both:
        request = case.watching("idle", both.port)
        both.open(request, WARM, frames=1)
        before = _settled(both.server)
        both.open(request, size.idle - WARM, frames=1)
        return {"kib": (_settled(both.server) - before) / (size.idle - WARM)}


WARM = 100  # viewers


def _settled(server: Child) -> float:
    time.sleep(0.5)
    return float(server.ask("stats", collect=True)["kib"])


def tried(measure: Callable[[Case], Result], case: Case) -> Result:
    """What was measured; on failure ``{"error": …}``."""
    try:
        return measure(case)
    except (ChildFailed, OSError) as error:
        return {"error": str(error)[:300]}
