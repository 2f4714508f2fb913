"""Starts the replay server and the measured programs, and takes medians over rounds."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from bench import environments
from bench.rows import Row

Result = dict[str, Any]
SLOWEST = 600  # seconds that any one measurement may take


@contextlib.contextmanager
def replay_server() -> Iterator[str]:
    """A replay server's ``http://127.0.0.1:PORT``; it is ended, by its own pid, on leaving."""
    command = [sys.executable, "-m", "bench.replay_server"]
    with subprocess.Popen(
        command, cwd=environments.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def server_stats(base: str) -> Result:
    """How late the server's own pacing was since this was last asked."""
    with urllib.request.urlopen(f"{base}/stats", timeout=30) as response:  # noqa: S310 (loopback)
        stats: Result = json.load(response)
    return stats


def measure(row: Row, task: Mapping[str, object]) -> Result:
    """What the program of `row` printed for `task`; on failure ``{"error": …}``, never nothing."""
    command = [str(row.python()), "-m", row.module, *filter(None, [row.argument])]
    try:
        done = subprocess.run(
            [*command, json.dumps(task)],
            cwd=environments.ROOT,
            env=environments.variables(),
            capture_output=True,
            text=True,
            timeout=SLOWEST,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no result in {SLOWEST} s"}
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines()
        return {"error": lines[-1][:300] if lines else f"exit code {error.returncode}"}
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def import_ms(row: Row, rounds: int) -> float:
    """CPU of the row's import statement over bare Python's, median of `rounds` each."""
    python = str(row.python())
    _cpu_ms(python, row.imports)  # the first import may have to compile
    bare, full = [], []
    for _ in range(rounds):
        bare.append(_cpu_ms(python, "pass"))
        full.append(_cpu_ms(python, row.imports))
    return statistics.median(full) - statistics.median(bare)


def _cpu_ms(python: str, code: str) -> float:
    # -I: the working directory is not searched, so both imports look in the same places.
    process = subprocess.Popen([python, "-I", "-c", code], env=environments.variables())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{python} -c {code!r} failed")
    return (usage.ru_utime + usage.ru_stime) * 1e3


def median(results: list[Result], key: str) -> float | None:
    """The median of `key` over rounds that gave it; `None` where none did."""
    values = [r[key] for r in results if key in r]
    return statistics.median(values) if values else None


def median_ratio(results: list[Result], floors: list[Result], key: str) -> float | None:
    """The median over rounds of this round's figure to the same round's floor."""
    pairs = zip(results, floors, strict=True)
    ratios = [r[key] / f[key] for r, f in pairs if key in r and key in f]
    return statistics.median(ratios) if ratios else None
