"""Names that a model may call, made of the names that a server gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from headrace.errors import UsageError

MAX_NAME = 64
"""Characters of a tool's name, at most."""

_BAD = re.compile(r"[^a-zA-Z0-9_-]")
_PREFIX = re.compile(r"[a-zA-Z0-9_-]{0,32}")


def checked_prefix(prefix: str) -> str:
    """The prefix.

    Raises:
        UsageError: a tool's name cannot begin so.
    """
    if _PREFIX.fullmatch(prefix):
        return prefix
    raise UsageError(
        f"Names of tools cannot begin with {prefix[:80]!r}.",
        hint="A prefix has at most 32 of a-z, A-Z, 0-9, _ and -.",
    )


def tool_names(given: Iterable[str], prefix: str = "") -> dict[str, str]:
    """A server's names to ours: different ones stay different, valid ones stay as they are.

    MCP allows dots, slashes and 128 characters (specification 2025-11-25, Tool Names); no provider
    does. What is not allowed becomes ``_``; a name that had to be changed and is then too long, or
    another's, gets a mark that depends on the name alone, so that it is the same in every process.
    """
    given = list(dict.fromkeys(given))
    plain = {name: prefix + (_BAD.sub("_", name) or "tool") for name in given}
    kept = {ours for name, ours in plain.items() if ours == prefix + name}
    named: dict[str, str] = {}
    for name, ours in plain.items():
        unchanged = ours == prefix + name
        taken = list(plain.values()).count(ours) > 1 or (not unchanged and ours in kept)
        fits = len(ours) <= MAX_NAME and (unchanged or not taken)
        named[name] = ours if fits else _marked(ours, name)
    return named


def _marked(ours: str, name: str) -> str:
    mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{ours[: MAX_NAME - 9]}_{mark}"
