"""``python -m bench.run``: measures the floor, Headrace and its peers, and writes the page."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench import (
    environments,
    report,
    sections,
    server,
    server_scenarios,
    store,
    telemetry,
    viewers,
)
from bench.measure import replay_server
from bench.rows import AIOHTTP, FLOOR, OURS, PEERS, Row
from bench.sections import SECTIONS, Plan

EVERY = SECTIONS | {
    "store": lambda plan: store.store(store.QUICK if plan.rounds < QUICK_BELOW else store.Size()),
    "viewers": lambda plan: viewers.section(
        viewers.QUICK if plan.rounds < QUICK_BELOW else viewers.Size()
    ),
    "telemetry": lambda plan: telemetry.section(
        plan.base, telemetry.QUICK if plan.rounds < QUICK_BELOW else telemetry.Size()
    ),
    "server": lambda plan: server.section(
        plan, server_scenarios.QUICK if plan.rounds < QUICK_BELOW else server_scenarios.Size()
    ),
}
"""The tables by name, in the order of the page."""

QUICK_BELOW = 5  # rounds
PAGE = environments.ROOT / "docs" / "benchmarks.md"


def quick(plan: Plan) -> Plan:
    """The same, small enough for a minute."""
    return replace(
        plan,
        rounds=2,
        import_rounds=5,
        cpu_seconds=0.4,
        requests=50,
        paced_seconds=4.0,
        long_chunks=200_000,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no peers, no page")
    parser.add_argument("--only", metavar="NAME", help="programs whose name has NAME in it")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=None)
    parser.add_argument(
        "--sections", nargs="+", choices=[*EVERY], default=[*EVERY], help="which tables"
    )
    parser.add_argument("--out", type=Path, help="where to write the page, however narrow the run")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 when a target is not met"
    )
    return parser.parse_args()


def programs(options: argparse.Namespace) -> tuple[Row, ...]:
    """The programs asked for; the floors always, as ratios need them."""
    peers = options.peers if options.peers is not None else not options.quick
    offered = (*OURS, *(PEERS if peers or options.only else ()))
    if options.only:
        offered = tuple(r for r in offered if r in (FLOOR, AIOHTTP) or options.only in r.name)
    for row in offered:
        row.python()  # installs a peer before anything is measured
    return offered


def main() -> int:
    options = arguments()
    environments.HOME.mkdir(exist_ok=True)
    chosen = programs(options)
    done: list[sections.Section] = []
    begin = time.monotonic()
    with replay_server() as base:
        plan = Plan(base, chosen)
        plan = quick(plan) if options.quick else plan
        for name in options.sections:
            print(f"\n{name} ({time.monotonic() - begin:.0f} s)", flush=True)
            done.append(EVERY[name](plan))
            print("\n" + report.section_text(done[-1]), flush=True)
    print(report.checks_text(done))
    whole = not options.quick and not options.only and options.sections == [*EVERY]
    if out := options.out or (PAGE if whole else None):
        out.parent.mkdir(parents=True, exist_ok=True)
        measured = (*chosen, *(server.programs(plan) if "server" in options.sections else ()))
        out.write_text(report.page(done, measured, plan.rounds), encoding="utf-8")
        print(f"Written to {out}.")
    passed = all(check.passed for section in done for check in section.checks)
    return 1 if options.strict and not passed else 0


if __name__ == "__main__":
    sys.exit(main())
