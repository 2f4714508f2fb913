"""What a provider's refusal means: HTTP statuses and error objects to Headrace's errors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headrace.errors import (
    AuthenticationFailed,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from headrace.models.stream import truncated
from headrace.providers.error_words import is_html, kinds_of, on_one_line, without_html, words_of
from headrace.providers.secret import Secret, masked
from headrace.providers.told_wait import told_wait

MAX_ERROR_BODY = 64 * 1024
"""Bytes of an error's body that are read; the rest is never asked for."""

_QUOTE = 80  # characters of garbage that a message shows
_SPENT = "insufficient_quota"
_WRONG_KEY = b"API_KEY_INVALID"  # Google answers a wrong key with 400 and this reason

_REJECTED = tuple(
    "invalid_request invalid_argument bad_request badrequest context_length exceed_context "
    "not_found notfound unsupported _policy too_large billing invalid_prompt image_ _image".split()
)
# Words in an error's code or type, for errors that come without an HTTP status of their own.
_WORDS: tuple[tuple[type[ProviderError], tuple[str, ...]], ...] = (
    (RateLimited, ("rate_limit", "too_many_requests", "quota", "resource_exhausted")),
    (AuthenticationFailed, ("authentication", "api_key", "permission", "unauthorized")),
    (RequestRejected, _REJECTED),
)


class Failures:
    """Makes the errors of one provider's client: named, one line each, without secrets.

    Args:
        provider: Who, as in the provider table.
        secret: The key in use: masked wherever the provider echoes it.
        key_variable: The environment variable that a person sets the key by.
    """

    def __init__(
        self, provider: str, secret: Secret | None = None, *, key_variable: str = ""
    ) -> None:
        self.provider = provider
        self._secrets = (secret,) if secret else ()
        self._key_variable = key_variable

    def mask(self, token: Secret) -> None:
        """Mask this token too; the key and the last few tokens are masked."""
        if token not in self._secrets:
            self._secrets = (*self._secrets[:1], *self._secrets[1:][-3:], token)

    def clean(self, text: str, longest: int = 4000) -> str:
        """The text on one line, with secrets masked and without HTML."""
        return on_one_line(masked(without_html(text), self._secrets), longest)

    def make(
        self,
        kind: type[ProviderError],
        text: str,
        *,
        hint: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> ProviderError:
        """An error of this class that names the provider; `text` may hold anything."""
        return kind(
            f"{self.provider}: {self.clean(text)}",
            hint=hint,
            provider=self.provider,
            status=status,
            retryable=retryable,
            retry_after=retry_after,
        )

    def of_answer(
        self, status: int, headers: Mapping[str, str], body: bytes, now: float
    ) -> ProviderError:
        """The error for an HTTP answer that is no success.

        Args:
            status: The HTTP status, not 200.
            headers: The answer's headers.
            body: Its body, at most `MAX_ERROR_BODY` bytes of it.
            now: Unix seconds, for waits told as dates.
        """
        if 300 <= status < 400:
            return self._redirect(status, headers)
        value = _json(body)
        told = {name.lower(): text for name, text in headers.items()}
        kind = _of_status(status)
        if kind is RequestRejected and _WRONG_KEY in body:
            kind = AuthenticationFailed
        spent = status == 429 and _is_spent(value, body)
        return self.make(
            kind,
            f"answered {_named(status)}{self._told(value, body)}",
            hint=self._hint(kind, status, spent),
            status=status,
            retryable=_may_retry(kind, spent, told.get("x-should-retry", "")),
            retry_after=told_wait(headers, value, now),
        )

    def of_value(self, value: object) -> ProviderError:
        """The error for an error object, string or list that came within a 200 answer."""
        kinds = kinds_of(value)
        status = next((int(k) for k in kinds if k.isdecimal() and 400 <= int(k[:9]) < 600), None)
        kind = _of_status(status) if status else _of_words(kinds)
        spent = _SPENT in kinds
        text = words_of(value) or "an error without a message"
        return self.make(
            kind,
            f"reported an error{f' ({status})' if status else ''}: {text}",
            hint=self._hint(kind, status or 0, spent),
            status=status,
            retryable=False if spent else None,
            retry_after=told_wait({}, {"error": value}, 0.0),
        )

    def not_the_protocol(self, what: str, status: int | None = None) -> ProviderError:
        """The error for an answer that is something else than the provider's stream."""
        hint = "Look at base_url: it should be the API's address, such as https://host/v1."
        return self.make(InvalidResponse, what, hint=hint, status=status)

    def broken_off(self, reason: str) -> ProviderError:
        """The error for a finish reason that tells of the provider's own trouble."""
        what = f"broke the answer off with the finish reason “{self.clean(reason, _QUOTE)}”."
        return self.make(ProviderUnavailable, what, hint="Ask again a little later.")

    def no_chunk(self, text: str) -> ProviderError:
        """The error for an event whose data is not JSON, or no object."""
        shown = self.clean(text[:1000], _QUOTE)
        what = f"sent an event that is no piece of an answer: “{shown}”."
        return self.make(InvalidResponse, what, hint="Look for a proxy that alters the stream.")

    def too_long(self, error: Exception) -> ProviderError:
        """The error for bytes past a decoder's bound."""
        hint = "No answer needs so much; look at what serves base_url."
        return self.make(InvalidResponse, f"went past a limit. {error}", hint=hint)

    def truncated(self) -> ProviderError:
        """The error for a transport that ended without the provider's own end (law 3)."""
        return truncated(self.provider)

    def _redirect(self, status: int, headers: Mapping[str, str]) -> ProviderError:
        told = {name.lower(): text for name, text in headers.items()}
        host = _host(told.get("location", "")) or "another path of the same host"
        what = f"answered {_named(status)}: a redirect to {host}, which is not followed."
        hint = "Set base_url to the final address, if you trust it with your key."
        return self.make(InvalidResponse, what, hint=hint, status=status)

    def _told(self, value: object, body: bytes) -> str:
        """The provider's own words after the status, or the full stop."""
        text = body.decode("utf-8", "replace")
        if value is None and is_html(text):
            title = self.clean(text, 200)
            return f" with an HTML page (“{title}”)." if title else " with an HTML page."
        words = words_of(value) if value is not None else text.strip()
        if not words:
            return "."
        return f": {words}" if words.endswith((".", "!", "?")) else f": {words}."

    def _hint(self, kind: type[ProviderError], status: int, spent: bool) -> str:
        if spent:
            return "The quota is spent: look at the account's plan and billing."
        if kind is AuthenticationFailed:
            where = self._key_variable or "api_key"
            return f"Check the key in {where}, and what it is allowed to do."
        if kind is RateLimited:
            return "Ask again a little later, or less often."
        if kind is ProviderUnavailable:
            return "Ask again a little later."
        if status == 404:
            return "Check the model's name and base_url."
        if kind is RequestRejected:
            return "Change the request: asking again as it is will not help."
        return "Look at base_url: it should be the API's address, such as https://host/v1."


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _of_status(status: int) -> type[ProviderError]:
    if status in (401, 403):
        return AuthenticationFailed
    if status == 429:
        return RateLimited
    if status in (408, 409) or 500 <= status < 600:
        return ProviderUnavailable
    return RequestRejected if 400 <= status < 500 else InvalidResponse


def _of_words(kinds: list[str]) -> type[ProviderError]:
    for kind, words in _WORDS:
        if any(word in told for told in kinds for word in words):
            return kind
    return ProviderUnavailable


def _may_retry(kind: type[ProviderError], spent: bool, should: str) -> bool:
    """Whether asking again may help; OpenAI's own clients obey ``x-should-retry`` too."""
    if spent or should.strip().lower() == "false":
        return False
    return kind.retryable or should.strip().lower() == "true"


def _is_spent(value: object, body: bytes) -> bool:
    return _SPENT in kinds_of(value) or _SPENT.encode() in body


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""
