"""``python -m tools.run_tests``: all tests, in two processes at once.

What mostly waits for programs that it has started, and measures no time, runs beside the rest: a
machine of two cores is done a quarter sooner. That part is told when the rest has ended.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

BESIDE = ("tests/chaos", "tests/cli")
"""What runs beside the rest."""

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
        print(f"beside that, {' and '.join(BESIDE)}:", flush=True)
        sys.stdout.buffer.write(said.read())
    return code


if __name__ == "__main__":
    sys.exit(main())
