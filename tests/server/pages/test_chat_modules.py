"""What the chat page loads: all of it asked for at once, and nothing that does not exist."""

from __future__ import annotations

import posixpath
import re

from headrace.server.assets import assets

IMPORT = re.compile(r"""^(?:import|export)\b[^"';]*?["']([./][^"']+)["'];""", re.MULTILINE)
START = "assets/chat/app.js"


def imported(name: str, found: set[str] | None = None) -> set[str]:
    """A module, and all that it and its modules import."""
    found = set() if found is None else found
    if name not in found:
        found.add(name)
        for path in IMPORT.findall(assets()[name].body.decode()):
            imported(posixpath.normpath(posixpath.join(posixpath.dirname(name), path)), found)
    return found


def named(attribute: str) -> list[str]:
    """What the page's HTML names in this attribute of a link or script."""
    html = assets()["index.html"].body.decode()
    return re.findall(rf'<(?:link|script)\b[^>]*\b{attribute}="([^"]+)"', html)


def test_every_module_is_asked_for_at_once() -> None:
    """Else a browser meets them one import after the other: five round trips."""
    links = [name for name in named("href") if name.endswith(".js")]
    assert named("src") == [START]
    assert sorted([START, *links]) == sorted(imported(START))


def test_every_style_sheet_exists() -> None:
    sheets = [name for name in named("href") if name.endswith(".css")]
    assert sheets
    assert all(name in assets() for name in sheets)
