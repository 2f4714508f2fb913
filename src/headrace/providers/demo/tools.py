"""The demo's tools: a calculator, a clock, and a search over Headrace's documentation."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

from headrace.errors import ToolError
from headrace.providers.demo.calculate import CannotCalculate, calculate
from headrace.providers.demo.library import documentation
from headrace.tools.tool import AnyTool, tool

MAX_PASSAGE = 1500
"""Characters of each passage that a search gives."""


@tool(read_only=True, idempotent=True)
def calculator(expression: str) -> str:
    """Work out an arithmetic expression.

    Args:
        expression: Such as `123 * 456`, `2 ^ 10` or `sqrt(2) / 3`.
    """
    try:
        return calculate(expression)
    except CannotCalculate as error:
        raise ToolError(f"Cannot calculate: {error}.") from None


@tool(read_only=True)
def clock(timezone: str = "UTC") -> str:
    """Tell the date and time.

    Args:
        timezone: An IANA name such as `Europe/Oslo`; UTC by default.
    """
    now = datetime.now(UTC)
    if timezone.upper() != "UTC":  # known also where there is no time zone database
        try:
            now = now.astimezone(zoneinfo.ZoneInfo(timezone))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ToolError(
                f"There is no time zone {timezone[:60]!r}; names are like Europe/Oslo."
            ) from None
    return f"{now:%A, %d %B %Y, %H:%M:%S} ({timezone})"


@tool(read_only=True, idempotent=True)
def search_docs(query: str) -> list[dict[str, str]]:
    """Search Headrace's documentation; gives the best passages with their pages.

    Args:
        query: A few words.
    """
    found = documentation().search(query)
    return [
        {"page": p.page, "section": p.section, "text": shortened(p.text, MAX_PASSAGE)}
        for p in found
    ]


def shortened(markdown: str, limit: int) -> str:
    """The first paragraphs that fit, at least a part of the first; code blocks stay closed."""
    if len(markdown) <= limit:
        return markdown
    head = markdown[:limit]
    head = head[: head.rfind("\n\n")] if "\n\n" in head else head.rsplit(" ", 1)[0]
    fence = "\n```" if head.count("\n```") + head.startswith("```") & 1 else ""
    return f"{head}{fence}\n\n…"


DEMO_TOOLS: tuple[AnyTool, ...] = (calculator, clock, search_docs)
"""The tools that `headrace chat` gives the demo model."""
