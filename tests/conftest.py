"""What all tests share."""

from __future__ import annotations

import pytest

pytest_plugins = ["tests.house.no_skips"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the only loop that Headrace is built for."""
    return "asyncio"
