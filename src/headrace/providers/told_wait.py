"""How long a provider asked to wait before the next try: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")


def told_wait(headers: Mapping[str, str], body: object, now: float) -> float | None:
    """Seconds that the provider asked to wait, or None where it told nothing usable.

    Looks at ``retry-after-ms`` (OpenAI, Azure), then at ``retry-after`` in seconds or as an HTTP
    date (RFC 9110, 10.2.3), then at ``google.rpc.RetryInfo`` in the body (AIP-193). Garbage and
    negative values, a date in the past among them, count as nothing.

    Args:
        headers: The response's headers; names are compared without case.
        body: The body's JSON, decoded; anything else is ignored.
        now: Unix seconds, for dates.
    """
    told = {name.lower(): value for name, value in headers.items()}
    milliseconds = _number(told.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = told.get("retry-after")
    if after is not None:
        seconds = _number(after)
        wait = seconds if seconds is not None else _until(after, now)
        if wait is not None:
            return wait
    return _retry_info(body)


def _number(text: object) -> float | None:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text.strip(" \t")):
        return None
    return float(text)


def _until(text: str, now: float) -> float | None:
    try:
        date = parsedate_to_datetime(text.strip())
        at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    wait = at - now
    return wait if isfinite(wait) and wait >= 0 else None


def _retry_info(body: object) -> float | None:
    for detail in _details(body):
        if str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            delay = detail.get("retryDelay")
            if isinstance(delay, str):
                return _number(delay.strip().removesuffix("s"))
            if isinstance(delay, dict):  # protobuf's own JSON of a Duration by some gateways
                return _number(str(delay.get("seconds", "")))
    return None


def _details(body: object) -> Iterator[dict[str, Any]]:
    """The entries of ``error.details``; a body may be a list that holds the object."""
    for item in body if isinstance(body, list) else [body]:
        error = item.get("error") if isinstance(item, dict) else None
        details = error.get("details") if isinstance(error, dict) else None
        if isinstance(details, list):
            yield from (detail for detail in details if isinstance(detail, dict))
