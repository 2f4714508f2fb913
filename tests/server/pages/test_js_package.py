"""`headrace.js` as a package of npm: what is published is the file as it is written, alone."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import headrace
from tests.support.node import node

PAGES = Path(headrace.__file__).parent / "server" / "pages"


async def test_the_package_is_the_client_alone_at_the_librarys_version(tmp_path: Path) -> None:
    node()  # with npm beside it
    process = await asyncio.create_subprocess_exec(
        shutil.which("npm") or "npm", "pack", "--dry-run", "--json", str(PAGES),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    told = json.loads(out)
    (packed,) = told if isinstance(told, list) else told.values()
    assert (packed["name"], packed["version"]) == ("headrace", headrace.__version__)
    assert {file["path"] for file in packed["files"]} == {"headrace.js", "package.json"}
