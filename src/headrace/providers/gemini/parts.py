"""Reads the parts of a Gemini turn that hold more than words: calls, signatures, other outputs.

A part with a signature, or with a server-side tool's call or result, must go back next turn as it
came (ai.google.dev, "Thought signatures"): it is kept whole as an opaque item, right behind what
it showed, and `contents.py` puts it in that one's place.
"""

from __future__ import annotations

from typing import Any

from headrace.messages import Opaque
from headrace.models.deltas import (
    Delta,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from headrace.providers.failures import Failures
from headrace.providers.json_text import as_arguments

MADE_UP = "headrace_"
"""What made-up ids of calls begin with: these never go to the provider, which gave none."""

_SERVER_SIDE = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")


class Parts:
    """The parts of one turn.

    Args:
        failures: Names the provider and cleans its words.
        id_prefix: What made-up ids begin with; itself begins with `MADE_UP`.

    Attributes:
        problem: Why the turn cannot be read on; empty where it can.
    """

    def __init__(self, failures: Failures, id_prefix: str) -> None:
        self._failures = failures
        self._prefix = id_prefix
        self._ids: set[str] = set()
        self._noted = False
        self.problem = ""

    @property
    def called(self) -> bool:
        """Whether the turn holds a call."""
        return bool(self._ids)

    def take(self, part: dict[str, Any], out: list[Delta]) -> None:
        """Add one part's deltas."""
        call, text = part.get("functionCall"), part.get("text")
        if isinstance(call, dict) and call:
            self._call(call, out)
        elif isinstance(text, str) and text:
            out.append(ReasoningDelta(text) if part.get("thought") is True else TextDelta(text))
        elif isinstance(part.get("inlineData"), dict):
            self._skip(part["inlineData"], out)
            return
        signature = part.get("thoughtSignature")
        if (isinstance(signature, str) and signature) or any(map(part.get, _SERVER_SIDE)):
            out.append(OpaqueDelta(Opaque(self._failures.provider, as_arguments(part))))

    def _call(self, call: dict[str, Any], out: list[Delta]) -> None:
        if call.get("partialArgs") or call.get("willContinue"):
            self.problem = "sent a call's arguments in pieces, which nobody asked for."
            return
        name = call.get("name")
        index = len(self._ids)
        id = self._id(call.get("id"))
        arguments = as_arguments(call.get("args"))
        out.append(ToolCallDelta(index, id, name if isinstance(name, str) else "", arguments))

    def _id(self, given: object) -> str:
        """The call's own id, or a made-up one where it has none or another call's."""
        id = given if isinstance(given, str) else ""
        number = len(self._ids)
        while not id or id in self._ids:
            id = f"{self._prefix}_{number}"
            number += 1
        self._ids.add(id)
        return id

    def _skip(self, data: dict[str, Any], out: list[Delta]) -> None:
        """Say once that the answer holds what is no text."""
        if not self._noted:
            self._noted = True
            kind = self._failures.clean(str(data.get("mimeType") or "data"), 80)
            what = f"{self._failures.provider}: the answer holds {kind}, which is left out."
            out.append(Note("output_skipped", what))
