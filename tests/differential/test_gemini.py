"""The same bytes, read by Google's official SDK and by our decoder."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.models.retry import NO_RETRY
from headrace.providers.gemini.client import Gemini
from tests.differential.gemini_bodies import CASES
from tests.differential.harness import Case, Seen, check

# The SDK makes a class of its own out of aiohttp's session, of which aiohttp warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

KEY = "canary-0123456789abcdef"

_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
_FILTERED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY")


def model(origin: str) -> Gemini:
    return Gemini("m", base_url=f"{origin}/v1beta", api_key=KEY, retry=NO_RETRY)


class Reader:
    """Joins what the SDK gives, as its documentation does: part by part, the last count wins."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[tuple[str, Any]] = []
        self.reason = ""
        self.blocked = False
        self.counts: dict[str, int] = {}

    def take(self, chunk: Any) -> None:
        feedback = chunk.prompt_feedback
        self.blocked = self.blocked or bool(feedback and feedback.block_reason)
        for name, value in (chunk.usage_metadata or ()) if chunk.usage_metadata else ():
            if isinstance(value, int):
                self.counts[name] = value
        if not chunk.candidates:
            return
        candidate = chunk.candidates[0]
        if candidate.finish_reason:
            self.reason = candidate.finish_reason.value
        for part in (candidate.content and candidate.content.parts) or ():
            if part.text and not part.thought:
                self.text += part.text
            if part.function_call:
                self.calls.append((part.function_call.name or "", part.function_call.args or {}))

    def seen(self) -> Seen:
        count = self.counts.get
        usage = None
        if self.counts:
            given = count("prompt_token_count", 0) + count("tool_use_prompt_token_count", 0)
            output = count("candidates_token_count", 0) + count("thoughts_token_count", 0)
            usage = (given, output)
        return Seen(self.text, tuple(self.calls), self._finish_reason(), usage)

    def _finish_reason(self) -> str:
        if self.blocked or self.reason in _FILTERED:
            return "content_filter"
        if not self.reason:
            return ""  # it does not say that the answer was cut
        reason = _REASONS.get(self.reason, "stop")
        return "tool_calls" if reason == "stop" and self.calls else reason


async def sdk(origin: str) -> Seen:
    from google import genai
    from google.genai import errors, types

    once = types.HttpRetryOptions(attempts=1)
    options = types.HttpOptions(base_url=origin, api_version="v1beta", retry_options=once)
    client = genai.Client(api_key=KEY, http_options=options)
    reader = Reader()
    try:
        stream = await client.aio.models.generate_content_stream(model="m", contents="hi")
        async for chunk in stream:
            reader.take(chunk)
    except (errors.APIError, ValueError):
        seen = reader.seen()
        return Seen(seen.text, seen.calls, "error", seen.usage)
    finally:
        await client.aio.aclose()
    return reader.seen()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_gemini_is_read_as_by_googles_sdk(case: Case) -> None:
    await check(case, model, sdk)


def test_there_are_bodies_enough() -> None:
    assert len({case.body for case in CASES}) >= 25
