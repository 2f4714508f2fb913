"""Where everything can run, nothing may be skipped: `HEADRACE_NO_SKIPS=1` makes skips fail.

A skip whose reason begins with ``not on CI:`` stays a skip; the rest of the reason says why CI
cannot run that test.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

ALLOWED = "not on CI:"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at each test's report."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at each file's report: a whole file can be skipped too."""
    report = yield
    _refuse(report)
    return report


def _refuse(report: Any) -> None:
    if report.outcome != "skipped" or os.environ.get("HEADRACE_NO_SKIPS", "0") in ("", "0"):
        return
    # A skip's longrepr is (path, line, "Skipped: reason").
    reason = str(report.longrepr[2]).removeprefix("Skipped: ")
    if not reason.startswith(ALLOWED):
        report.outcome = "failed"
        report.longrepr = (
            f"Skipped where nothing may be skipped: {reason}\n"
            f"(If CI can never run it, begin the reason with {ALLOWED!r}.)"
        )
