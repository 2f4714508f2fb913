"""Who asks: bearer tokens with users, and one-time tickets for addresses that carry no header."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from time import monotonic

from headrace.errors import ConfigurationError, HeadraceError, RequestRefused
from headrace.runs.stores.record import check_name

TICKET_SECONDS = 30.0
"""How long a ticket may wait for its one use."""

MAX_TICKETS = 10_000
"""Tickets that wait; the oldest make room."""

SHORTEST = 16
"""Characters of the shortest token that is taken: what is shorter can be guessed."""

TOKENS = "HEADRACE_TOKENS"
TOKENS_FILE = "HEADRACE_TOKENS_FILE"


class Users:
    """The users that a server knows, by their tokens. It holds hashes only.

    Args:
        tokens: User to token; empty for a server where anyone is the one user ``""``.

    Raises:
        ConfigurationError: a name that no user can have, a token that is too short, or one token
            for two users.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._by_hash: dict[bytes, str] = {}
        for user, token in (tokens or {}).items():
            self._add(user, token)

    def __bool__(self) -> bool:
        return bool(self._by_hash)

    def __len__(self) -> int:
        return len(self._by_hash)

    def user(self, authorization: str) -> str | None:
        """Whose token an ``Authorization`` header brings, or None."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        # Looked up by its hash, so that the time of a comparison tells nothing about a token.
        return self._by_hash.get(_hash(token.strip()))

    def _add(self, user: str, token: str) -> None:
        try:
            check_name(user, "a user")
        except HeadraceError as error:
            raise ConfigurationError(error.message, hint=error.hint) from None
        if len(token) < SHORTEST or not token.isascii() or not token.isprintable():
            raise ConfigurationError(
                f"The token of {user!r} is too short, or has characters that no header carries.",
                hint=f"Take at least {SHORTEST} letters and digits: openssl rand -hex 24",
            )
        if self._by_hash.setdefault(_hash(token), user) != user:
            raise ConfigurationError(f"The token of {user!r} is another user's, too.")


def read_tokens(env: Mapping[str, str] | None = None, file: str | Path | None = None) -> Users:
    """The users of ``HEADRACE_TOKENS``, ``HEADRACE_TOKENS_FILE`` or the file that is given.

    Written ``user:token``, one in a line; in the variable commas may stand for line ends. Blank
    lines and those that begin with ``#`` are skipped. A user may have several tokens.

    Raises:
        ConfigurationError: an entry of another form, or a file that cannot be read.
    """
    env = os.environ if env is None else env
    file = file or env.get(TOKENS_FILE, "").strip() or None
    users = Users()
    if file is not None:
        try:
            text = Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The tokens of {str(file)!r} cannot be read: {error}."
            ) from None
        _add_all(users, text.splitlines(), str(file))
    _add_all(users, env.get(TOKENS, "").replace(",", "\n").splitlines(), TOKENS)
    return users


def _add_all(users: Users, lines: Iterable[str], where: str) -> None:
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        user, colon, token = line.partition(":")
        if not colon:
            # The line is not shown: it may be a token.
            raise ConfigurationError(
                f"Entry {number} of {where} is not of the form user:token.",
                hint="Write one such entry for each user.",
            )
        users._add(user.strip(), token.strip())


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


class Tickets:
    """One-time, short-lived stand-ins for a token, for URLs of `EventSource` and `WebSocket`.

    A URL ends up in logs and histories; a ticket that is found there has been used.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, float]] = {}

    def issue(self, user: str) -> str:
        """A ticket for this user: 192 random bits, good once within 30 s."""
        now = monotonic()
        for ticket in [t for t, (_, until) in self._waiting.items() if until < now]:
            del self._waiting[ticket]
        while len(self._waiting) >= MAX_TICKETS:
            del self._waiting[next(iter(self._waiting))]
        ticket = token_urlsafe(24)
        self._waiting[ticket] = (user, now + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Whose ticket it is, once."""
        user, until = self._waiting.pop(ticket, ("", 0.0))
        return user if until >= monotonic() else None


def unauthorized() -> RequestRefused:
    """A 401."""
    return RequestRefused(
        401,
        "unauthorized",
        "This server wants to know who asks.",
        hint="Send the header Authorization: Bearer TOKEN, or ?ticket= from POST /v1/tickets.",
    )
