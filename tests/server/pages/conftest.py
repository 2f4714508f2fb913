"""One browser for all tests of a module: each takes a context of its own in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.support.chromium import Browser, chromium_browser


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    """A Chromium."""
    async with chromium_browser() as browser:
        yield browser
