"""Runs whose owner was lost, made by hand: a log that ends anywhere, in a store, with no owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from time import time
from typing import Any

from msgspec.structs import replace

from headrace.agents.agent import Agent
from headrace.events import Event, RunStart
from headrace.messages import Message
from headrace.models.request import ModelRequest
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from headrace.runtime.spec import Spec, encode_spec
from headrace.testing import check_events
from headrace.tools.context import RunContext
from headrace.tools.tool import AnyTool, tool
from tests.chaos.model import ChaosModel

ASKED = "key"
PIECES = 3

Ran = Counter[tuple[str, str]]
"""How often each call has run, by run and call."""


class Heard(ChaosModel):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(pieces=PIECES)
        self.requests: list[ModelRequest] = []

    async def open(self, request: ModelRequest) -> Any:
        self.requests.append(request)
        return await super().open(request)


def counted_tools(ran: Ran) -> list[AnyTool]:
    """`note` may run again, `charge` may not; both say that they have run."""

    @tool(idempotent=True)
    async def note(call: str, run: RunContext) -> str:
        """Write something down."""
        ran[run.run_id, call] += 1
        return f"noted {call}"

    @tool
    async def charge(call: str, run: RunContext) -> str:
        """Take money."""
        ran[run.run_id, call] += 1
        return f"charged {call}"

    return [note, charge]


def chaos_agent(ran: Ran, model: ChaosModel | None = None, name: str = "chaos") -> Agent:
    """An agent that goes on rightly from wherever a run stands."""
    return Agent(name, model or ChaosModel(pieces=PIECES), tools=counted_tools(ran))


def record_of(
    run_id: str,
    agent: str = "chaos",
    *,
    asked: str = ASKED,
    history: Sequence[Message] = (),
    context: Mapping[str, Any] | None = None,
    **fields: Any,
) -> RunRecord:
    """The record of a live run whose lease has run out."""
    spec = Spec((Message.user(asked),), tuple(history), context or {})
    known = {"created_at": time(), "owner": "a lost one", "spec": encode_spec(spec), **fields}
    return RunRecord(run_id, agent, "chaos:chaos", **known)


async def orphan(store: Store, record: RunRecord, events: Sequence[Event] = ()) -> str:
    """Put a run into the store that stands after `events`; gives its id."""
    await store.create(record)
    if events:
        first = events[0]
        assert isinstance(first, RunStart)
        mine = [replace(first, run_id=record.id, session=record.session), *events[1:]]
        await store.append(record.id, 0, mine)
    return record.id


async def recover(store: Store, runs: Sequence[str], *agents: Agent, **options: Any) -> Runtime:
    """Let a runtime take up the runs, wait for their ends, close it."""
    async with Runtime(store, agents=agents, lease=1.0, **options) as runtime:
        for run_id in runs:
            async for _ in await runtime.attach(run_id):
                pass
    return runtime


async def log_of(store: Store, run_id: str) -> list[Event]:
    """The run's whole log, which keeps the laws."""
    log: list[Event] = []
    while more := await store.read(run_id, len(log)):
        log += more
    check_events(log)
    return log


async def recovered(store: Store, run_id: str, *agents: Agent, **options: Any) -> list[Event]:
    """The log of one run that was taken up and has ended."""
    await recover(store, [run_id], *agents, **options)
    return await log_of(store, run_id)


async def whole_log(agent: Agent, asked: str = ASKED) -> list[Event]:
    """The log of a run of this agent that nothing interrupts."""
    async with agent.start(asked) as run:
        log = [event async for event in run.events()]
    check_events(log)
    return log


def upto(log: Sequence[Event], kind: type[Event], nth: int = 1) -> list[Event]:
    """The log up to its nth event of this kind."""
    places = [place for place, event in enumerate(log) if isinstance(event, kind)]
    return list(log[: places[nth - 1] + 1])


def of(log: Sequence[Event], kind: type[Any]) -> list[Any]:
    """The events of this kind."""
    return [event for event in log if isinstance(event, kind)]
