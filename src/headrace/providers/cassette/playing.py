"""`Cassette`: the model that plays recorded bytes through their provider's own decoder."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from time import time
from urllib.parse import parse_qsl

from headrace.errors import ConfigurationError, HeadraceError, ProviderError, UsageError
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Decoder, Delta, Failure, Finish
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.providers.cassette.faults import (
    Ending,
    Fault,
    Reset,
    Slow,
    broken,
    check,
    parse_fault,
)
from headrace.providers.cassette.format import (
    MAX_CASSETTE,
    Head,
    RecordedAnswer,
    Tape,
    read_tape,
)
from headrace.providers.cassette.wires import reader
from headrace.providers.failures import MAX_ERROR_BODY, Failures
from headrace.providers.http_errors import connection_error


class Cassette(BaseModel):
    """Plays a cassette: each request gets the next recorded answer, whatever it asks.

    An answer that a fault breaks before its end is played again for the next request, as a
    provider would answer the same request again.

    Args:
        path: The file; ``?speed=…&fault=…&times=…`` may follow in place of the arguments below.
        speed: 1 keeps the recorded pace, 4 is four times as fast, 0 does not wait at all.
        fault: How each playing breaks.
        times: Only the first so many playings break; None breaks all.
        deadlines: How long to wait for what; recorded waits count at their played length.
        retry: When to ask again before the first content. By default as ever, but with waits in
            step with `speed`.
        options: Taken and not looked at.

    Attributes:
        tape: What the file holds.

    Raises:
        ConfigurationError: no such file, none that is a cassette, or a bad setting.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        speed: float = 1.0,
        fault: Fault | None = None,
        times: int | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        name = os.fspath(path)
        file, told = _split(name)
        self.speed = _speed(told["speed"]) if "speed" in told else _speed(speed)
        self.fault = parse_fault(told["fault"]) if "fault" in told else fault
        if self.fault is not None:
            check(self.fault)
        self._times = _count(told["times"]) if "times" in told else times
        if retry is None:
            retry = RetryPolicy(base=self._played(RetryPolicy().base))
        super().__init__("cassette", name, deadlines=deadlines, retry=retry, options=options)
        self.path = file
        self.tape = _read(file)
        self._reader = reader(self.tape.header.wire, self.tape.header.provider)
        self._left = deque(self.tape.answers)
        self._asked = 0

    @property
    def left(self) -> int:
        """Answers that were not played yet."""
        return len(self._left)

    def decoder(self) -> Decoder:
        """A fresh decoder of the recorded provider."""
        return self._reader.decoder()

    async def open(self, request: ModelRequest) -> PlayedAttempt:
        """Take the next answer and wait until its head is due.

        Raises:
            ProviderError: the recorded refusal, or a `Reset` before the first byte.
            UsageError: there is no further answer.
        """
        self._asked += 1
        if not self._left:
            raise UsageError(
                f"The cassette {self.path} holds {len(self.tape.answers)} answers, and this is "
                f"request {self._asked}.",
                hint="Record a conversation with as many requests, or make the model anew.",
            )
        answer = self._left.popleft()
        started = asyncio.get_running_loop().time()
        refused = not 200 <= answer.head.status < 300
        fault = None if refused else self._fault()
        if isinstance(fault, Reset) and fault.at == 0:
            self.play_again(answer)
            raise self._no_connection()
        factor = self._played(fault.factor if isinstance(fault, Slow) else 1.0) / 1e3
        await _until(started + answer.head.ms * factor)
        if refused:
            raise self._refusal(answer)
        pieces, ending = broken(answer.pieces, fault, lines=_has_lines(answer.head))
        due = [started + piece.ms * self._played(1.0) / 1e3 for piece in pieces]
        timed = zip(due, (piece.data for piece in pieces), strict=True)
        return PlayedAttempt(self, answer, timed, ending)

    def play_again(self, answer: RecordedAnswer) -> None:
        """Give this answer to the next request."""
        self._left.appendleft(answer)

    def settle(self, error: ProviderError) -> None:
        """With no answer left, asking again cannot help: the recorded error is the last word."""
        if not self._left:
            error.retryable = False

    def _fault(self) -> Fault | None:
        """The fault of this playing."""
        if self.fault is None or self._times == 0:
            return None
        if self._times is not None:
            self._times -= 1
        return self.fault

    def _played(self, seconds: float) -> float:
        """So long a wait, at the cassette's speed."""
        return seconds / self.speed if self.speed else 0.0

    def _refusal(self, answer: RecordedAnswer) -> ProviderError:
        body = b"".join(piece.data for piece in answer.pieces)[:MAX_ERROR_BODY]
        failures = Failures(self.tape.header.provider)
        error = failures.of_answer(answer.head.status, answer.head.headers, body, time())
        if error.retry_after is not None:
            error.retry_after = self._played(error.retry_after)
        self.settle(error)
        return error

    def _no_connection(self) -> HeadraceError:
        failures = Failures(self.tape.header.provider)
        return connection_error(ConnectionResetError(), failures, "the cassette", None)


class PlayedAttempt:
    """One recorded answer on its way: its bytes at their times (a `models.stream.Attempt`).

    Args:
        cassette: Whose it is.
        answer: The whole answer.
        pieces: What is played of it, each with the loop's time at which it is due.
        ending: How it goes on after that.
    """

    def __init__(
        self,
        cassette: Cassette,
        answer: RecordedAnswer,
        pieces: Iterable[tuple[float, bytes]],
        ending: Ending,
    ) -> None:
        self._cassette = cassette
        self._answer = answer
        self._pieces = iter(pieces)
        self._ending = ending
        self._decoder = cassette.decoder()
        self._open = True
        self._whole = False

    async def read(self) -> list[Delta]:
        """The deltas of the next recorded read."""
        piece = next(self._pieces, None)
        if piece is not None:
            due, data = piece
            await _until(due)
            batch = self._decoder.feed(data)
        elif self._ending == "stall":
            await asyncio.Event().wait()
            batch = []
        else:
            batch = self._decoder.close()
        last = batch[-1] if batch else None
        if type(last) is Finish:
            self._whole = True
        elif type(last) is Failure and self._ending == "end":
            self._cassette.settle(last.error)
        return batch

    async def close(self) -> None:
        """Leave it; what was broken before its end is played again."""
        if self._open and self._ending != "end" and not self._whole:
            self._cassette.play_again(self._answer)
        self._open = False


async def _until(due: float) -> None:
    """Wait until this time of the loop's clock; others get their turn even if it has passed."""
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


def _split(name: str) -> tuple[Path, dict[str, str]]:
    """The file, and what follows its name."""
    file, mark, query = name.rpartition("?")
    if not mark or Path(name).exists():
        return Path(name), {}
    told = dict(parse_qsl(query, keep_blank_values=True))
    unknown = [key for key in told if key not in ("speed", "fault", "times")]
    if unknown or not told:
        what = ", ".join(unknown) or repr(query)
        raise ConfigurationError(
            f"A cassette has no setting {what}, and there is no file {name}.",
            hint="Write cassette:FILE?speed=4&fault=cut:123&times=1.",
        )
    return Path(file), told


def _speed(value: str | float) -> float:
    try:
        speed = float(value)
    except ValueError:
        speed = -1.0
    if not 0 <= speed < float("inf"):
        raise ConfigurationError(
            f"The speed of a cassette is 0 (no waits) or more, not {value}.",
            hint="1 is as recorded, 4 is four times as fast.",
        )
    return speed


def _count(value: str) -> int:
    if not value.isdecimal():
        raise ConfigurationError(f"times is a number of playings, not {value!r}.")
    return int(value)


def _read(path: Path) -> Tape:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CASSETTE + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The cassette {path} cannot be read: {error.strerror or error}.",
            hint='Record one with headrace record FILE "…".',
        ) from None
    return read_tape(data, str(path))


def _has_lines(head: Head) -> bool:
    return "event-stream" not in head.headers.get("content-type", "event-stream")
