"""Opens a page in the reader's own browser, where there is a desktop to show it on."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping


def has_desktop(platform: str, environment: Mapping[str, str]) -> bool:
    """Whether a browser would get a window.

    Elsewhere `webbrowser` may start one in this very terminal.
    """
    if platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def open_page(
    address: str,
    *,
    platform: str = sys.platform,
    environment: Mapping[str, str] = os.environ,
    browse: Callable[[str], object] = webbrowser.open,
) -> bool:
    """Open an address, in a thread of its own: some browsers hold up who starts them.

    Returns:
        Whether there is a desktop; else nothing was done.
    """
    if not has_desktop(platform, environment):
        return False
    threading.Thread(target=browse, args=(address,), name="browser", daemon=True).start()
    return True
