"""A fresh machine: how `make` finds uv or a Python, and what CI says when something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / ".ci"
OLD = (
    "#!/bin/sh\nexit 1\n"  # what `python3 -c` of an old Python, or a shim that leads nowhere, does
)
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n'
# A Python whose venv holds a "pip" that installs a "uv".
GOOD = r"""#!/bin/sh
[ "$1 $2" = "-m venv" ] || exit 0
mkdir -p "$4/bin"
printf '#!/bin/sh\ntouch "%s/bin/uv"\n' "$4" > "$4/bin/python"
chmod +x "$4/bin/python"
"""


def find_uv(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    path = folder / "path"
    path.mkdir()
    for tool in ("dirname", "mkdir", "ln", "touch", "chmod", "printf", "sh"):
        if found := shutil.which(tool):
            (path / tool).symlink_to(found)
    for name, script in programs.items():
        program = path / name.replace("_", ".")
        program.write_text(script)
        program.chmod(0o755)
    return subprocess.run(  # noqa: S603 - our own script
        [str(CI / "find-uv"), ".tools/uv"],
        cwd=folder,
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_machines_own_uv_is_taken(tmp_path: Path) -> None:
    done = find_uv(tmp_path, uv="#!/bin/sh\n", python3=GOOD)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".tools/uv").readlink() == tmp_path / "path/uv"


def test_a_uv_that_does_not_start_is_not_taken(tmp_path: Path) -> None:
    assert find_uv(tmp_path, uv=OLD, python3=GOOD).returncode == 0
    assert (tmp_path / ".tools/uv").readlink() == Path("venv/bin/uv")


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    done = find_uv(tmp_path, python3=OLD, python3_14=OLD, python3_12=GOOD)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".tools/uv").exists()
    assert done.stderr == "Installing uv into .tools (once) …\n"


@pytest.mark.parametrize(
    ("programs", "says"),
    [
        ({"python3": OLD}, "Headrace needs Python 3.11 or later, or uv"),
        ({}, "Headrace needs Python 3.11 or later, or uv"),
        ({"python3": OLD, "python3_11": NO_VENV}, "python3.11 has no venv module"),
    ],
)
def test_a_machine_with_neither_is_told_what_to_do(
    tmp_path: Path, programs: dict[str, str], says: str
) -> None:
    done = find_uv(tmp_path, **programs)
    assert done.returncode == 1
    assert says in done.stderr
    assert "https://docs.astral.sh/uv" in done.stderr
    assert not (tmp_path / ".tools/uv").exists()


def test_ci_fails_clearly_without_the_model_server(tmp_path: Path) -> None:
    (tmp_path / "repository/.ci").mkdir(parents=True)
    shutil.copy(CI / "run", tmp_path / "repository/.ci/run")
    done = subprocess.run(  # noqa: S603 - our own script
        [str(tmp_path / "repository/.ci/run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"need {tmp_path / 'shared/llama/llama-server'}, and it is not there" in done.stderr


def test_the_scripts_may_be_executed() -> None:
    assert all(os.access(CI / name, os.X_OK) for name in ("run", "find-uv"))
