"""What is measured, and against which target: each section gives a table and its checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import bodies
from bench.measure import Result, import_ms, measure, median, median_ratio, server_stats
from bench.rows import ADAPTER, AIOHTTP, EVENTS, FLOOR, RUN_STREAM, WIRES, Row

SAMPLES = dict[Row, list[Result]]


@dataclass(frozen=True)
class Plan:
    """How much to measure, of which programs."""

    base: str
    programs: tuple[Row, ...]
    rounds: int = 5
    import_rounds: int = 9
    cpu_seconds: float = 0.7
    requests: int = 100
    paced_seconds: float = 10.0
    long_chunks: int = 1_000_000

    def of(self, *wanted: Row) -> list[Row]:
        """Those of `wanted` that were asked for."""
        return [row for row in wanted if row in self.programs]

    def peers(self) -> list[Row]:
        return [row for row in self.programs if row.peer]


@dataclass(frozen=True)
class Check:
    """A target and what was measured for it; `None` was not measured, and does not pass."""

    what: str
    limit: float
    unit: str
    measured: float | None

    @property
    def passed(self) -> bool:
        return self.measured is not None and self.measured <= self.limit


@dataclass
class Section:
    title: str
    note: str
    header: Sequence[str]
    lines: list[list[str]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def number(value: float | None, form: str = ".1f") -> str:
    return "failed" if value is None else format(value, form)


def sample(plan: Plan, programs: Sequence[Row], task: Result, rounds: int, key: str) -> SAMPLES:
    """Measure every program once a round, there and back, saying each figure as it comes."""
    found: SAMPLES = {row: [] for row in programs}
    for turn in range(rounds):
        for row in programs if turn % 2 == 0 else reversed(programs):
            result = measure(row, {**task, "base": plan.base})
            found[row].append(result)
            said = result["error"] if "error" in result else f"{result[key]:.2f} {key}"
            print(f"  round {turn + 1}/{rounds}  {row.name:20} {said}", flush=True)
    return found


def failures(found: SAMPLES) -> list[str]:
    """One line for each program that failed, with its last error."""
    lines = []
    for row, results in found.items():
        errors = [r["error"] for r in results if "error" in r]
        errors += [
            f"{r['failed']} streams ended in {r['first_failure']}"
            for r in results
            if r.get("failed")
        ]
        if errors:
            lines.append(f"{row.name}: {errors[-1]}")
    return lines


def flat(plan: Plan) -> Section:
    """CPU per chunk, flat out."""
    task = {"mode": "flat", "warm_up": 2, "seconds": plan.cpu_seconds}
    found = sample(plan, plan.programs, task, plan.rounds, "us_per_chunk")
    ratios = {r: median_ratio(s, found[FLOOR], "us_per_chunk") for r, s in found.items()}
    section = Section(
        "Flat out",
        f"One answer of {bodies.FLAT_CHUNKS:,} chunks after another, each written at once by the "
        "server: CPU time of the client's process for a chunk.",
        ["program", "µs of CPU a chunk", "to the floor"],
        [
            [r.name, number(median(s, "us_per_chunk"), ".2f"), number(ratios[r])]
            for r, s in found.items()
        ],
        failures=failures(found),
    )
    limits = [(ADAPTER, 3.0), (EVENTS, 6.0), (RUN_STREAM, 6.0)]
    for row, limit in limits:
        if row in found:
            what = f"flat out, {row.name}: CPU a chunk to the floor's"
            section.checks.append(Check(what, limit, "times", ratios[row]))
    return section


def wires(plan: Plan) -> Section:
    """CPU per chunk in the other providers' wires, each against a floor of its own."""
    task = {"mode": "flat", "path": "wires", "warm_up": 2, "seconds": plan.cpu_seconds}
    rows = [row for pair in WIRES for row in pair]
    found = sample(plan, rows, task, plan.rounds, "us_per_chunk")
    section = Section(
        "Other wires",
        f"The same answer of {bodies.FLAT_CHUNKS:,} chunks in each provider's own wire, flat out: "
        "CPU time of the client's process for a chunk, through the provider's adapter, and through "
        "a raw socket and a typed decode of the same bytes.",
        ["wire", "floor µs a chunk", "adapter µs a chunk", "to the floor"],
        failures=failures(found),
    )
    for floor, adapter in WIRES:
        ratio = median_ratio(found[adapter], found[floor], "us_per_chunk")
        figures = [median(found[row], "us_per_chunk") for row in (floor, adapter)]
        section.lines.append(
            [adapter.argument, *(number(figure, ".2f") for figure in figures), number(ratio)]
        )
        what = f"flat out, {adapter.name}: CPU a chunk to its own floor's"
        section.checks.append(Check(what, 3.0, "times", ratio))
    return section


def ttft(plan: Plan) -> Section:
    """Time to the first token."""
    task = {"mode": "ttft", "requests": plan.requests}
    found = sample(plan, plan.programs, task, plan.rounds, "ms_p50")
    floor = found[FLOOR]
    added: dict[Row, float | None] = {}
    for row, results in found.items():
        pairs = [
            {"ms": r["ms_p50"] - f["ms_p50"]}
            for r, f in zip(results, floor, strict=True)
            if "ms_p50" in r and "ms_p50" in f
        ]
        added[row] = median(pairs, "ms")
    section = Section(
        "Time to the first token",
        f"{plan.requests} requests one after another over a kept connection; the server sends the "
        "first chunk at once and the others 2 ms later. Wall time from the call to the text.",
        ["program", "p50 ms", "p99 ms", "p50 over the floor, ms"],
        [
            [
                row.name,
                number(median(s, "ms_p50"), ".2f"),
                number(median(s, "ms_p99"), ".2f"),
                number(added[row], "+.2f"),
            ]
            for row, s in found.items()
        ],
        failures=failures(found),
    )
    for row in plan.of(RUN_STREAM):
        what = f"time to the first token over the floor, p50, {row.name}"
        section.checks.append(Check(what, 0.6, "ms", added[row]))
    return section


def footprint(plan: Plan) -> Section:
    """Import time and resident memory."""
    task = {"mode": "rss"}
    found = sample(plan, plan.programs, task, min(3, plan.rounds), "mib")
    imports: dict[Row, float] = {}
    for row in plan.programs:
        if row.imports:
            imports[row] = import_ms(row, plan.import_rounds)
            print(f"  {row.imports:28} {imports[row]:.0f} ms", flush=True)
    section = Section(
        "Import and memory",
        "CPU time of the import over that of bare Python; resident memory of the process after "
        f"one answer of {bodies.FLAT_CHUNKS:,} chunks (the bench's own few modules with it).",
        ["program", "import", "ms of CPU", "resident MiB"],
        [
            [
                row.name,
                f"`{row.imports}`" if row.imports else "",
                number(imports[row], ".0f") if row in imports else "",
                number(median(s, "mib"), ".0f"),
            ]
            for row, s in found.items()
        ],
        failures=failures(found),
    )
    # The package loads its names when they are asked for, so the plain import alone says little.
    for row in plan.of(RUN_STREAM, EVENTS):
        what = f"`{row.imports}` over bare Python"
        section.checks.append(Check(what, 90, "ms", imports[row]))
    for row in plan.of(RUN_STREAM):
        what = "resident memory after one answer"
        section.checks.append(Check(what, 50, "MiB", median(found[row], "mib")))
    return section


def paced(plan: Plan) -> Section:
    """Many live streams in one process."""
    task: Result = {"mode": "paced", "streams": 500, "rate": 50, "ramp": 2.0, "limit": 60}
    task["seconds"] = plan.paced_seconds
    server_stats(plan.base)
    found = sample(plan, plan.of(AIOHTTP, RUN_STREAM), task, plan.rounds, "us_per_chunk")
    server = server_stats(plan.base)["late_ms_p99"]
    found |= sample(plan, plan.peers(), task, 1, "us_per_chunk")
    floor = found[AIOHTTP]
    ratios = {r: median_ratio(s, floor[: len(s)], "us_per_chunk") for r, s in found.items()}
    section = Section(
        "500 live streams at 50 chunks a second, one process",
        "Lateness is from when the server was due to send a chunk to when the caller has its "
        f"text; the server itself was up to {server:.1f} ms late (p99) beside the first two rows. "
        f"Peers have one round; who falls behind is cut off after some {task['limit']} s, "
        "and *read* says how much of the answers had come by then. Their lateness would go on "
        "growing with the length of the answers. *Core* is the share of one core: near 100 % a "
        "program is at its limit, and its CPU a chunk says little more.",
        ["program", "µs of CPU a chunk", "to aiohttp", "core", "late p50 ms", "late p99 ms", "read",
         "peak MiB"],
        [
            [
                row.name,
                number(median(s, "us_per_chunk")),
                number(ratios[row], ".2f"),
                number(median(s, "core"), ".0%"),
                number(median(s, "late_ms_p50"), ",.1f"),
                number(median(s, "late_ms_p99"), ",.1f"),
                number(median(s, "read_share"), ".0%"),
                number(median(s, "peak_mib"), ",.0f"),
            ]
            for row, s in found.items()
        ],
        failures=failures(found),
    )  # fmt: skip
    for row in plan.of(RUN_STREAM):
        what = f"paced, {row.name}: CPU a chunk to that of aiohttp and typed decode alone"
        section.checks.append(Check(what, 1.6, "times", ratios[row]))
        late = median(found[row], "late_ms_p99")
        section.checks.append(Check(f"paced, {row.name}: lateness p99", 20, "ms", late))
    return section


def memory(plan: Plan) -> Section:
    """One very long answer."""
    total = plan.long_chunks
    task = {"mode": "memory", "chunks": total}
    found = sample(plan, plan.of(FLOOR, ADAPTER, RUN_STREAM), task, 1, "late_mib")
    text = bodies.chars(total, bodies.PLAIN_WORDS) / 2**20
    columns = ("early_mib", "late_mib", "end_mib", "peak_mib")
    section = Section(
        f"One answer of {total:,} chunks",
        "Resident MiB when a tenth, nine tenths and all of the answer had been read, and the peak. "
        f"The answer's own text, which a run keeps and gives back at its end, is {text:.1f} MiB.",
        ["program", "a tenth", "nine tenths", "all", "peak"],
        [[r.name, *(number(median(s, column)) for column in columns)] for r, s in found.items()],
        failures=failures(found),
    )
    limits = [
        (ADAPTER, "end_mib", 2.0),
        (RUN_STREAM, "late_mib", 8.0),
        (RUN_STREAM, "end_mib", 16.0),
    ]
    for row, until, limit in limits:
        if row in found:
            (result,) = found[row]
            growth = None if "error" in result else result[until] - result["early_mib"]
            part = "nine tenths" if until == "late_mib" else "the end"
            what = f"{total:,} chunks, {row.name}: growth from a tenth to {part}"
            section.checks.append(Check(what, limit, "MiB", growth))
    return section


SECTIONS: dict[str, Callable[[Plan], Section]] = {
    "flat": flat,
    "wires": wires,
    "ttft": ttft,
    "footprint": footprint,
    "paced": paced,
    "memory": memory,
}
