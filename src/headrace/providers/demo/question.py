"""What a question asks for, found by rules: the time, who speaks, a long text, Headrace."""

from __future__ import annotations

import re

from headrace.providers.demo.library import words

MOST = 8
"""Clocks taken up from one question."""

LONGEST = 5000
"""Words of the longest text."""

_CLOCK = re.compile(
    r"\bwhat(?:'s| is)?\s+(?:the\s+)?(?:current\s+)?(?:time|date|day)\b(?!\s+(?:to|out|limit))"
    r"|\btime is it\b|\bcurrent (?:time|date)\b|\btoday's date\b|\b(?:date|day) (?:is it )?today\b"
    r"|\b(?:time|date) (?:now|in [A-Z])|\b(?:use|call|ask|read) (?:the |your )?clock\b"
)
_ZONE = re.compile(r"\b(?:Africa|America|Asia|Atlantic|Australia|Europe|Pacific)/[A-Z][\w/+-]+")
_WHO = re.compile(
    r"\bwho (?:are|r) (?:you|u)\b|\bwhat are you\b|\bwhat(?:'s| is) your name\b"
    r"|\bare you (?:an? |really )*(?:llm|ai|bot|human|real|robot|language|model|gpt|chatgpt)"
    r"|\b(?:which|what) (?:model|llm) (?:are you|is this|am i)|\bintroduce yourself\b",
    re.IGNORECASE,
)
_LONG = re.compile(
    r"\b(?:long|lengthy|endless|huge)\b.{0,40}\b(?:text|answer|essay|story|article|report|reply"
    r"|stream|tour|poem)\b|\b(?:text|essay|story|article)\b.{0,20}\blong\b",
    re.IGNORECASE | re.DOTALL,
)
_COUNT = re.compile(
    r"\b(?:write|compose|generate|stream|produce|give|make|type)\b.{0,80}?"
    r"\b(\d{1,3}(?:,\d{3})|\d{2,6})[ -]?(?:words?|tokens?|pieces?)\b",
    re.IGNORECASE | re.DOTALL,
)
_CITIES = {
    "amsterdam": "Europe/Amsterdam",
    "auckland": "Pacific/Auckland",
    "beijing": "Asia/Shanghai",
    "berlin": "Europe/Berlin",
    "cairo": "Africa/Cairo",
    "chicago": "America/Chicago",
    "delhi": "Asia/Kolkata",
    "dubai": "Asia/Dubai",
    "jakarta": "Asia/Jakarta",
    "lagos": "Africa/Lagos",
    "lima": "America/Lima",
    "london": "Europe/London",
    "los angeles": "America/Los_Angeles",
    "madrid": "Europe/Madrid",
    "mexico city": "America/Mexico_City",
    "moscow": "Europe/Moscow",
    "mumbai": "Asia/Kolkata",
    "nairobi": "Africa/Nairobi",
    "new york": "America/New_York",
    "oslo": "Europe/Oslo",
    "paris": "Europe/Paris",
    "rome": "Europe/Rome",
    "san francisco": "America/Los_Angeles",
    "seoul": "Asia/Seoul",
    "singapore": "Asia/Singapore",
    "stockholm": "Europe/Stockholm",
    "sydney": "Australia/Sydney",
    "são paulo": "America/Sao_Paulo",
    "tokyo": "Asia/Tokyo",
    "toronto": "America/Toronto",
}
_TOPICS = frozenset(
    words(
        """agent backpressure bench benchmark cancel cancellation cassette channel cursor deadline
        delta dispatcher event log metric operator protocol provider replay resumable resume retract
        retry run runtime seq server session sse step store stream telegram terminal token tool
        truncate truncation usage view viewer websocket"""
    )
)


def zones(text: str) -> list[str]:
    """The time zones whose time is asked for; ``UTC`` where no place is named, else none."""
    if not _CLOCK.search(text) and not _CLOCK.search(text.lower()):
        return []
    lower = text.lower()
    named = [(lower.find(city), zone) for city, zone in _CITIES.items() if city in lower]
    named += [(match.start(), match[0]) for match in _ZONE.finditer(text)]
    # A zone such as Asia/Tokyo names its city too: the later one of an equal pair falls away.
    found = list(dict.fromkeys(zone for _, zone in sorted(named)))
    return found[:MOST] or ["UTC"]


def asks_who(text: str) -> bool:
    """Whether it asks who or what is talking."""
    return bool(_WHO.search(text))


def long_text(text: str) -> int:
    """How many words of text it asks for; 0 where it asks for no long text."""
    count = _COUNT.search(text)
    if count is not None:
        return min(LONGEST, int(count[1].replace(",", "")))
    return 1300 if _LONG.search(text) else 0


def about_headrace(text: str) -> bool:
    """Whether it is about Headrace or what Headrace is about."""
    return "headrace" in text.lower() or not _TOPICS.isdisjoint(words(text))
