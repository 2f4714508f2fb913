"""``python -m tools.run_tests``: all tests, in two processes at once.

The server's tests, with their browsers, take about as long as all others: on two cores both halves
are done sooner. What ran beside is told when the rest has ended.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

BESIDE = tuple(
    f"tests/{folder}"
    for folder in (
        "agents",
        "chaos",
        "cli",
        "differential",
        "docs",
        "e2e",
        "events",
        "frontends",
        "house",
        "models",
        "providers",
        "runs",
        "runtime",
        "telemetry",
        "tools",
        "wire",
    )
)
"""What runs beside the rest; nothing of it needs Node or a browser, which the rest installs."""

PYTEST = (sys.executable, "-m", "pytest", "-q")


def main() -> int:
    """Run them; gives the exit code, 0 where all of them passed."""
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(
            [*PYTEST, "-p", "no:cacheprovider", *BESIDE], stdout=said, stderr=subprocess.STDOUT
        )
        try:
            code = subprocess.call([*PYTEST, *(f"--ignore={folder}" for folder in BESIDE)])
            code = beside.wait() or code
        finally:
            beside.terminate()
            beside.wait()
        said.seek(0)
        print("beside that,", ", ".join(BESIDE), flush=True)
        sys.stdout.buffer.write(said.read())
    return code


if __name__ == "__main__":
    sys.exit(main())
