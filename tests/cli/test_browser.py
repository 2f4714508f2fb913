"""A page is opened only where a browser would get a window."""

from __future__ import annotations

import queue

import pytest

from headrace.cli.browser import has_desktop, open_page

ADDRESS = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("platform", "environment", "desktop"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_where_there_is_a_desktop(
    platform: str, environment: dict[str, str], desktop: bool
) -> None:
    assert has_desktop(platform, environment) is desktop


def test_the_address_is_opened() -> None:
    opened: queue.Queue[str] = queue.Queue()
    assert open_page(ADDRESS, platform="darwin", environment={}, browse=opened.put)
    assert opened.get(timeout=10) == ADDRESS


def test_in_a_bare_terminal_nothing_is_started() -> None:
    opened: queue.Queue[str] = queue.Queue()
    assert not open_page(ADDRESS, platform="linux", environment={}, browse=opened.put)
    assert opened.empty()
