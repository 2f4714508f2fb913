"""A secret that no repr, log, error or traceback shows (law 11)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "****"

_SHORTEST = 4  # masking "a" wherever it stands would eat the text and hide nothing

# What keys look like, for those that are not ours: a gateway may echo its own. The published
# prefixes of key formats, the Authorization header (RFC 9110, 11.6.2), JSON Web Tokens
# (RFC 7519), user information in URLs (RFC 3986, 3.2.1) and parameters named as secrets. None takes
# a quote or a backslash away, which would break JSON.
_PATTERNS = (
    re.compile(r"(?i)\b(?P<keep>(?:bearer|basic)\s+)[A-Za-z0-9._~+/=*-]{6,}"),
    re.compile(  # a digit or a mask within it tells it from a hyphenated word
        r"(?P<keep>\b)(?:sk|pk|rk|gsk|xai|hf|r8|csk|nvapi|pplx|tgp|ghp|key|fw)[-_]"
        r"(?=[\w.-]*[\d*])[\w*.-]{6,}"
    ),
    re.compile(r"(?P<keep>\b)(?:AIza[\w*-]{10,}|ya29\.[\w*.-]+|eyJ[\w-]+\.[\w.-]+)"),
    re.compile(r"(?P<keep>://)[^/@\s:\"'\\]*:[^/@\s\"'\\]*(?=@)"),
    re.compile(
        r"(?i)(?P<keep>\b(?:api[-_]?key|access[-_]?token|x-api-key|secret)[\"']?\s*[:=]\s*[\"']?)"
        r"(?!(?:null|true|false)\b|\[)[^\s\"'\\&,;{}<>]{4,}"
    ),
    re.compile(r"(?i)(?P<keep>[?&](?:key|token|sig|signature)=)[^\s&\"'\\]+"),
)


class Secret:
    """Holds a secret; only `reveal` gives it out.

    Its repr, str and format are ``****``; it cannot be pickled and has no `__dict__`.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself; never keep it in a variable."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> str:
        raise TypeError("A Secret is not pickled.")


def fits_header(secret: Secret) -> bool:
    """Whether a header can carry it: one word of visible ASCII."""
    value = secret.reveal()
    return value.isascii() and value.isprintable() and " " not in value


def masked(text: str, secrets: Iterable[Secret] = ()) -> str:
    """The text without these secrets, and without what looks like a key."""
    for secret in secrets:
        value = secret.reveal()
        if len(value) >= _SHORTEST:
            text = text.replace(value, MASK).replace(quote(value, safe=""), MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<keep>{MASK}", text)
    return text
