"""Who asks: bearer tokens with users, and one-time tickets for addresses that carry no header."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
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

_TOKEN = re.compile(rf"[!-~]{{{SHORTEST},}}")

TOKENS = "HEADRACE_TOKENS"
TOKENS_FILE = "HEADRACE_TOKENS_FILE"


class Users:
    """The users that a server knows, by their tokens. It holds hashes only.

    Args:
        tokens: User to token; empty for a server where anyone is the one user ``""``.

    Raises:
        ConfigurationError: a name that no user can have, a token that is too short, or one token
            for two users. It shows neither: who mixes the two up would find the token in a log.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._by_hash: dict[bytes, str] = {}
        for number, (user, token) in enumerate((tokens or {}).items(), 1):
            self._add(user, token, f"Entry {number} of the tokens")

    def __bool__(self) -> bool:
        return bool(self._by_hash)

    def __len__(self) -> int:
        """How many users; one may have several tokens."""
        return len(self.names)

    @property
    def names(self) -> frozenset[str]:
        """The users."""
        return frozenset(self._by_hash.values())

    def user(self, authorization: str) -> str | None:
        """Whose token an ``Authorization`` header brings, or None."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        # Looked up by its hash, so that the time of a comparison tells nothing about a token.
        return self._by_hash.get(_hash(token.strip()))

    def _add(self, user: str, token: object, where: str) -> None:
        try:
            check_name(user, "a user")
        except HeadraceError as error:
            raise ConfigurationError(f"{where} names no user.", hint=error.hint) from None
        if ":" in user:
            raise ConfigurationError(f"{where} has a user's name with a colon in it.")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise ConfigurationError(
                f"{where} has a token that is too short, or has characters that no header carries.",
                hint=f"Take at least {SHORTEST} letters and digits: openssl rand -hex 24",
            )
        if self._by_hash.setdefault(_hash(token), user) != user:
            raise ConfigurationError(f"{where} has the token of another user.")


def read_tokens(env: Mapping[str, str] | None = None, file: str | Path | None = None) -> Users:
    """The users of ``HEADRACE_TOKENS``, ``HEADRACE_TOKENS_FILE`` or the file that is given.

    Written ``user:token``, one in a line; in the variable commas may stand for line ends. Blank
    lines and those that begin with ``#`` are skipped. A user may have several tokens.

    Raises:
        ConfigurationError: an entry of another form, a file that cannot be read, or one of the
            two that is given and has no entry: that server would be open to anyone.
    """
    env = os.environ if env is None else env
    where, users = "the file of tokens", Users()
    if file is None and (told := env.get(TOKENS_FILE, "").strip()):
        where, file = f"the file that {TOKENS_FILE} names", told
    if file is not None:
        _add_all(users, _lines_of(file, where), where)
    if entries := env.get(TOKENS, "").strip():
        _add_all(users, entries.replace(",", "\n").splitlines(), TOKENS)
    return users


def _lines_of(file: str | Path, where: str) -> list[str]:
    try:
        return Path(file).read_text("utf-8-sig").splitlines()
    except OSError as error:
        why = error.strerror or "it is no file"
    except ValueError:  # no UTF-8, or no path
        why = "it is no text"
    # Raised out here, apart from an error that holds the file's bytes; and the path is not
    # shown: where someone mixes the variables up, it is a token.
    hint = "It has a line user:token for each user."
    raise ConfigurationError(f"Cannot read {where}: {why}.", hint=hint)


def _add_all(users: Users, lines: Iterable[str], where: str) -> None:
    found = False
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
        users._add(user.strip(), token.strip(), f"Entry {number} of {where}")
        found = True
    if not found:
        raise ConfigurationError(
            f"There is no user:token in {where}.",
            hint="Write one, or unset it for a server of one.",
        )


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


class Tickets:
    """One-time, short-lived stand-ins for a token, for URLs of `EventSource` and `WebSocket`.

    A URL ends up in logs and histories; a ticket that is found there has been used.

    Args:
        clock: Seconds that never fall.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._waiting: dict[str, tuple[str, float]] = {}  # oldest first: all wait equally long

    def __len__(self) -> int:
        """How many wait for their use."""
        return len(self._waiting)

    def issue(self, user: str) -> str:
        """A ticket for this user: 192 random bits, good once within 30 s."""
        now = self._clock()
        while self._waiting:
            oldest = next(iter(self._waiting))
            if len(self._waiting) < MAX_TICKETS and self._waiting[oldest][1] > now:
                break
            del self._waiting[oldest]
        ticket = token_urlsafe(24)
        self._waiting[ticket] = (user, now + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Whose ticket it is, once; None for one that was used, is too old or never was."""
        user, until = self._waiting.pop(ticket, (None, 0.0))
        return user if self._clock() < until else None


def unauthorized() -> RequestRefused:
    """A 401."""
    return RequestRefused(
        401,
        "unauthorized",
        "This server wants to know who asks.",
        hint="Send the header Authorization: Bearer TOKEN, or ?ticket= from POST /v1/tickets.",
    )
