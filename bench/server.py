"""The server: what an event costs it on its way to viewers, beside a bare ASGI application."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench import server_scenarios as scenarios
from bench.measure import Result, median, median_ratio
from bench.rows import Row
from bench.sections import Check, Plan, Section, number
from bench.server_scenarios import RATE, VIEWERS, Case, Size

SERVER = ("uvicorn", "httptools", "starlette")
FLOOR = Row("bare ASGI", "bench.server_floor", packages=SERVER)
MEMORY = Row("headrace, in memory", "bench.server_ours", "memory:")
SQLITE = Row("headrace, SQLite", "bench.server_ours", "sqlite:///FOLDER/bench.db")
PEERS = (
    Row(
        "sse-starlette", "bench.peers.sse_starlette", "", "sse-starlette",
        packages=("sse-starlette", *SERVER),
    ),
    Row(
        "FastAPI, ready bytes", "bench.peers.fastapi_sse", "ready", "fastapi",
        packages=("fastapi", *SERVER),
    ),
    Row("FastAPI, its own SSE", "bench.peers.fastapi_sse", "own", "fastapi"),
)  # fmt: skip

BATCH = 20  # events of one read, as from a socket
Samples = dict[Case, list[Result]]


def sample(
    what: str, cases: Sequence[Case], peers: Sequence[Case], rounds: int,
    measure: Callable[[Case], Result], key: str,
) -> Samples:  # fmt: skip
    """Measure every case once a round, there and back, and the peers in the first round alone."""
    found: Samples = {case: [] for case in (*cases, *peers)}
    for turn in range(rounds):
        asked = (*cases, *peers) if turn == 0 else cases
        for case in asked if turn % 2 == 0 else reversed(asked):
            result = scenarios.tried(measure, case)
            found[case].append(result)
            said = result["error"] if "error" in result else f"{result[key]:.2f} {key}"
            name = case.row.name + case.name
            print(f"  {what} {turn + 1}/{rounds}  {name:32} {said}", flush=True)
    return found


def ratio(found: Samples, case: Case, key: str = "us") -> float | None:
    """To the floor's figure of the same round."""
    floor = next(results for each, results in found.items() if each.row == FLOOR)
    return median_ratio(found[case], floor[: len(found[case])], key)


def lines(what: str, found: Samples) -> list[list[str]]:
    made = []
    for case, results in found.items():
        cells = [
            number(median(results, "us"), ".1f"),
            number(ratio(found, case), ".2f"),
            number(median(results, "core"), ".0%"),
            number(median(results, "waited"), ".0%"),
            number(median(results, "late_ms_p50"), ".1f"),
            number(median(results, "late_ms_p99"), ".1f"),
        ]
        if not any("late_ms_p99" in r and r["late_ms_p99"] for r in results):
            cells[4:] = ["", ""]
        made.append([what, case.row.name + case.name, *cells, ""])
    return made


def failures(found: Samples) -> list[str]:
    """One line for each case that failed, with its last error."""
    errors = [(c, [r["error"] for r in results if "error" in r]) for c, results in found.items()]
    return [f"{case.row.name}{case.name}: {told[-1]}" for case, told in errors if told]


def programs(plan: Plan) -> tuple[Row, ...]:
    """What else than the plan's programs is measured here."""
    return (FLOOR, *(PEERS if plan.peers() else ()))


def section(plan: Plan, size: Size) -> Section:
    """The table and its checks."""
    peers = [Case(row) for row in PEERS] if plan.peers() else []
    made = Section(
        "The server",
        "CPU time of the server's process for an event written to a viewer. The floor is a bare "
        "ASGI application on the same uvicorn that sends ready bytes, one `send` for each event. "
        f"*Paced*: one live run at {RATE} events a second seen by {VIEWERS} viewers. *Flat out*: "
        f"{VIEWERS} runs at once with a viewer each, from a model that gives {BATCH} events a "
        "read, or one, without a pause; the floor gives others their turn after each event, as "
        f"whoever awaits its events does, or after {BATCH}. *Relayed*: {VIEWERS} runs at {RATE} "
        "events a second from a provider's bytes, with a viewer each. Lateness is from when the "
        "provider was due to send a chunk to when the viewer has its bytes; the floor passes the "
        "provider's bytes on as they are. *Idle*: resident memory of the server for each of "
        f"{size.idle:,} viewers. Server on one core; provider and viewers on another, where the "
        "system can do that. *Core taken* is the share of time in which the server could have "
        "run and other programs of the machine had its core: lateness means little where it is "
        "not near 0. Peers have one round.",
        ["what", "program", "µs of CPU an event", "to the bare app", "core", "core taken",
         "late p50 ms", "late p99 ms", "KiB a viewer"],
    )  # fmt: skip
    _paced(made, peers, size)
    _flat(made, peers, size)
    _relay(made, plan.base, size)
    _idle(made, size)
    return made


def _paced(made: Section, peers: Sequence[Case], size: Size) -> None:
    memory, sqlite = Case(MEMORY, "paced"), Case(SQLITE, "paced")
    found = sample(
        "paced", (Case(FLOOR), memory, sqlite), peers, size.rounds,
        lambda case: scenarios.paced(case, size), "us",
    )  # fmt: skip
    made.lines += lines("paced", found)
    made.failures += failures(found)
    for case in (memory, sqlite):
        what = f"one run to {VIEWERS} viewers, {case.row.name}: CPU an event written"
        made.checks.append(Check(f"{what}, to a bare app's", 1.3, "times", ratio(found, case)))


def _flat(made: Section, peers: Sequence[Case], size: Size) -> None:
    memory, sqlite = (Case(row, f"flat {BATCH}") for row in (MEMORY, SQLITE))
    single = Case(MEMORY, "flat 1", name=", one a read")
    burst = Case(FLOOR, name=f", {BATCH} a turn", pause=BATCH)
    found = sample(
        "flat out", (Case(FLOOR), burst, memory, sqlite, single), peers, size.rounds,
        lambda case: scenarios.flat(case, size), "us",
    )  # fmt: skip
    made.lines += lines("flat out", found)
    made.failures += failures(found)
    for case in (memory, sqlite):
        what = f"{VIEWERS} runs flat out, {case.row.name}: CPU an event"
        made.checks.append(Check(f"{what}, to a bare app's", 0.7, "times", ratio(found, case)))


def _relay(made: Section, base: str, size: Size) -> None:
    memory, sqlite = (Case(row, "Go", "relay") for row in (MEMORY, SQLITE))
    found = sample(
        "relayed", (Case(FLOOR), memory, sqlite), (), min(3, size.rounds),
        lambda case: scenarios.relay(case, size, base), "late_ms_p99",
    )  # fmt: skip
    made.lines += lines("relayed", found)
    made.failures += failures(found)
    for case in (memory, sqlite):
        what = f"{VIEWERS} runs from provider to viewer, {case.row.name}: lateness p99"
        made.checks.append(Check(what, 50, "ms", median(found[case], "late_ms_p99")))


def _idle(made: Section, size: Size) -> None:
    case = Case(MEMORY, "idle")
    found = sample(
        "idle", (Case(FLOOR), case), (), min(3, size.rounds),
        lambda case: scenarios.idle(case, size), "kib",
    )  # fmt: skip
    for each, results in found.items():
        kib = number(median(results, "kib"), ".1f")
        made.lines.append(["idle", each.row.name, *[""] * 6, kib])
    made.failures += failures(found)
    what = f"{size.idle:,} idle viewers: memory of each"
    made.checks.append(Check(what, 40, "KiB", median(found[case], "kib")))
