"""Sessions in memory: their messages, and the one live run that each may have."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from headrace.errors import SessionBusy, SessionConflict, SessionNotFound
from headrace.messages import Message
from headrace.runs.stores.memory_room import Room
from headrace.runs.stores.record import RunRecord, SessionRecord

SESSION_COST = 1024
"""What a session costs besides its messages, in bytes."""

_encoder = msgspec.json.Encoder()


def messages_size(messages: Sequence[Message]) -> int:
    """Bytes that messages are counted as: those of each one's JSON."""
    return sum(len(_encoder.encode(message)) for message in messages)


class MemorySession:
    """A session, before it is shown as a record."""

    def __init__(self, session: str, user: str, now: float) -> None:
        self.id = session
        self.user = user
        self.title = ""
        self.live_run: str | None = None
        self.size = SESSION_COST
        self.created_at = self.updated_at = now
        self._messages: list[Message] = []
        self._runs: list[str] = []

    @property
    def version(self) -> int:
        """How many messages it has."""
        return len(self._messages)

    def record(self, *, whole: bool) -> SessionRecord:
        """As a store gives it: with its messages, or without for lists."""
        return SessionRecord(
            id=self.id,
            user=self.user,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
            live_run=self.live_run,
            messages=tuple(self._messages) if whole else (),
            runs=tuple(self._runs) if whole else (),
            title=self.title,
        )

    def check_free(self) -> None:
        """Whether no run is going on in it.

        Raises:
            SessionBusy: one is.
        """
        if self.live_run is not None:
            raise SessionBusy(self.id, self.live_run)

    def add(self, messages: Sequence[Message], now: float, run_id: str = "") -> int:
        """Add messages of a run, or of none; gives the bytes that they are counted as."""
        if not messages:
            return 0
        size = messages_size(messages)
        self._messages += messages
        self._runs += [run_id] * len(messages)
        self.updated_at = now
        self.size += size
        return size

    def common(self, messages: Sequence[Message]) -> int:
        """How many messages both begin with."""
        pairs = zip(self._messages, messages, strict=False)
        differ = (nth for nth, (mine, theirs) in enumerate(pairs) if mine != theirs)
        return next(differ, min(len(self._messages), len(messages)))

    def cut(self, keep: int, now: float) -> int:
        """Drop the messages behind the first `keep`; gives the bytes that they were counted as."""
        size = messages_size(self._messages[keep:])
        del self._messages[keep:], self._runs[keep:]
        self.updated_at = now
        self.size -= size
        return size


class MemorySessions:
    """All sessions, by id."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._all: dict[str, MemorySession] = {}

    def get(self, session: str) -> MemorySession:
        """The session of this id.

        Raises:
            SessionNotFound: there is none.
        """
        found = self._all.get(session)
        if found is None:
            raise SessionNotFound(session)
        return found

    def find(self, session: str | None) -> MemorySession | None:
        """The session of this id, if it is there."""
        return None if session is None else self._all.get(session)

    def check_run(self, session: str, user: str) -> None:
        """Whether a new run of this user may begin in it.

        Raises:
            SessionBusy: it has a live run.
            SessionNotFound: it belongs to another user.
        """
        found = self._all.get(session)
        if found is not None:
            if found.user != user:
                raise SessionNotFound(session)
            found.check_free()

    def check_append(self, session: str, expected_version: int, user: str) -> None:
        """Whether messages may be added outside a run.

        Raises:
            SessionNotFound: it is another user's, or not there and not to be made.
            SessionBusy: it has a live run.
            SessionConflict: it stands elsewhere.
        """
        found = self._all.get(session)
        if found is None:
            if expected_version:
                raise SessionNotFound(session)
            return
        if found.user != user:
            raise SessionNotFound(session)
        found.check_free()
        if found.version != expected_version:
            raise SessionConflict(
                f"The session {session[:80]!r} stands at {found.version}; "
                f"an append after {expected_version} was refused.",
                hint="Read it again, and append to what it is now.",
            )

    def open(self, session: str, user: str, now: float) -> MemorySession:
        """The session, made if it is new."""
        found = self._all.get(session)
        if found is None:
            found = self._all[session] = MemorySession(session, user, now)
            self._room.used += found.size
        return found

    def add(
        self, session: MemorySession, messages: Sequence[Message], now: float, run_id: str = ""
    ) -> int:
        """Add messages; gives the new version."""
        self._room.used += session.add(messages, now, run_id)
        return session.version

    def replace(
        self, session: MemorySession, messages: Sequence[Message], now: float, run: RunRecord
    ) -> None:
        """Let it hold these messages; those that both begin with stay as they are."""
        keep = session.common(messages)
        if not keep:
            session.title = run.title
        self._room.used -= session.cut(keep, now)
        self.add(session, messages[keep:], now, run.id)

    def remove(self, session: MemorySession) -> None:
        """Forget it."""
        del self._all[session.id]
        self._room.used -= session.size

    def listed(self, user: str | None, limit: int) -> list[SessionRecord]:
        """Without their messages, last used first."""
        found = [s for s in self._all.values() if user is None or s.user == user]
        found.sort(key=lambda session: session.updated_at, reverse=True)
        return [session.record(whole=False) for session in found[:limit]]
