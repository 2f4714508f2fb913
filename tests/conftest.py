"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# A law holds on a busy machine too: no test is a timed one.
settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

pytest_plugins = ["tests.house.no_skips", "tests.support.law_watch"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, the only loop that Headrace is built for."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def no_ones_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands keep their runs where the tests are, never in the store of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        patch.delenv("HEADRACE_STORE", raising=False)
        yield
