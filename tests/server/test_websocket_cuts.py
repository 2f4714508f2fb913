"""Sockets that break anywhere, again and again: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from headrace import Agent
from headrace.events import Event
from headrace.runs.fold import fold
from headrace.testing import check_events
from tests.server.reading import has_ended, started
from tests.server.serving import no_viewers, serving
from tests.server.socket_client import SocketClient, socket
from tests.server.test_cuts import Chatty
from tests.support.loop import leftovers

CUTS = 100
PIECES = 2500
RUNS = 4
SOCKETS = 2
"""How the runs are read: over so many sockets, each with a share of them."""

ENDLESS = 10**9


class Relay:
    """Stands between a client and a server, and breaks both connections after `bytes_left`."""

    def __init__(self, server: str) -> None:
        self._to = urlsplit(server)
        self.bytes_left = ENDLESS
        self.url = ""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._to.hostname, self._to.port)
        up = asyncio.create_task(self._up(reader, back))
        try:
            while part := await there.read(65536):
                writer.write(part[: self.bytes_left])
                self.bytes_left -= len(part)
                if self.bytes_left <= 0:
                    break
                await writer.drain()
        except OSError:
            pass  # the client is gone
        finally:
            up.cancel()
            # What was let through still gets there; the server is just left.
            writer.close()
            back.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            back.write(part)
        back.transport.abort()


@asynccontextmanager
async def relaying(server: str) -> AsyncGenerator[Relay]:
    relay = Relay(server)
    listening = await asyncio.start_server(relay.carry, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    relay.url = f"http://{host}:{port}"
    async with listening:
        yield relay


async def read_cut(
    server: str, ids: list[str], seed: int, cuts: int
) -> tuple[dict[str, list[Event]], int]:
    """Read runs over a socket that breaks after any byte; gives the events and the breaks.

    A third of the breaks are closing handshakes, the others are connections that are just gone.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    events: dict[str, list[Event]] = {run_id: [] for run_id in ids}
    broken = 0
    async with relaying(server) as relay:
        while open_ones := [run_id for run_id in ids if not has_ended(events[run_id])]:
            most = ENDLESS
            if broken < cuts:
                relay.bytes_left = rng.choice((50, 400, 1000, 5000, 40_000, 200_000))
                most = rng.choice((1, 5, ENDLESS))
            broken += await read_on(relay, open_ones, events, most)
            relay.bytes_left = ENDLESS
    return events, broken


async def read_on(relay: Relay, ids: list[str], events: dict[str, list[Event]], most: int) -> bool:
    """Go on with these runs, for so many messages; gives whether the socket broke before."""
    client: SocketClient | None = None
    over = 0
    try:
        async with socket(relay.url) as client:
            for run_id in ids:
                after = events[run_id][-1].seq if events[run_id] else 0
                await client.ask("subscribe", run_id, run_id=run_id, after=after)
            while most and over < len(ids):
                over += (await client.next())["op"] == "ended"
                most -= 1
    except (ConnectionClosed, InvalidHandshake, OSError, EOFError):
        pass  # wherever it broke: also within the handshake
    if client is not None:
        assert {told["op"] for told in client.told} <= {"ended"}
        for run_id, found in client.events.items():
            events[run_id] += found
    return over < len(ids)


async def read_shares(
    server: str, shares: list[list[str]], seed: int
) -> tuple[dict[str, list[Event]], int]:
    """Read all runs at once, each share over its own socket."""
    reads = await asyncio.gather(
        *(read_cut(server, share, 10 * seed + n, CUTS // SOCKETS) for n, share in enumerate(shares))
    )
    events = {run_id: found for part, _ in reads for run_id, found in part.items()}
    return events, sum(broken for _, broken in reads)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory:", "sqlite"])
async def test_live_and_finished_runs_survive_100_cuts(store: str, tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/runs.db" if store == "sqlite" else store
    async with serving([Agent("bot", Chatty(PIECES))], store=url) as server:
        ids = [await started(server.url) for _ in range(RUNS)]
        shares = [ids[nth::SOCKETS] for nth in range(SOCKETS)]
        whole, cuts = await read_shares(server.url, shares, 0)
        assert cuts >= CUTS // 4
        for run_id, found in whole.items():
            check_events(found)
            assert fold(found) == await server.runtime.snapshot(run_id)
        cuts = 0
        for seed in itertools.count(1):
            again, more = await read_shares(server.url, shares, seed)
            assert again == whole
            cuts += more
            if cuts >= CUTS:
                break
        await no_viewers(server)
    await asyncio.sleep(0)
    assert leftovers() == []
