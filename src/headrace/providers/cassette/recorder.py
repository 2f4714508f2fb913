"""The hand that writes a cassette's file."""

from __future__ import annotations

import os
from errno import EACCES
from pathlib import Path
from time import time
from typing import IO

from msgspec.structs import replace

from headrace.errors import ConfigurationError
from headrace.providers.cassette.format import MAX_CASSETTE, Header, line, may_become_cassette


class Recorder:
    """Writes one cassette; several answers may be on their way at once.

    The file is open only while answers are. It is readable by its owner alone.

    Args:
        path: The cassette.
        header: Its first line.
        keep_request: Whether bodies of requests are kept.
        limit: Most bytes of the file; then recording stops and says so.

    Attributes:
        answers: Answers that have begun to come.
        size: Bytes written.
        trouble: Why recording has stopped; ``""`` while it goes on.

    Raises:
        ConfigurationError: a place where no cassette can be written.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        *,
        keep_request: bool = False,
        limit: int = MAX_CASSETTE,
    ) -> None:
        _check_place(path)
        self.path = path
        self.header = header
        self.keep_request = keep_request
        self.answers = 0
        self.size = 0
        self._asked = 0
        self._open = 0
        self._file: IO[bytes] | None = None
        self.trouble = ""
        self._limit = limit

    def begin(self) -> int:
        """A request is about to be made; gives its number."""
        self._asked += 1
        self._open += 1
        return self._asked

    def write(self, data: bytes) -> None:
        """Append whole lines; what goes wrong ends the recording, never the answer."""
        if self.trouble:
            return
        if self.size + len(data) > self._limit:
            self.stop(f"the cassette would grow over {self._limit} bytes")
            return
        try:
            file = self._file = self._file or self._opened()
            file.write(data)
            file.flush()
        except OSError as error:
            self.stop(error.strerror or "it cannot be written")
            return
        self.size += len(data)

    def stop(self, why: str) -> None:
        """Record nothing more."""
        self.trouble = f"Recording to {self.path} has stopped: {why}."
        self._shut()

    def ended(self) -> None:
        """An answer is over."""
        self._open -= 1
        if not self._open:
            self._shut()

    def _opened(self) -> IO[bytes]:
        """The file, begun anew with the first answer."""
        new = self.size == 0
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if new else 0)
        file = os.fdopen(os.open(self.path, how, 0o600), "ab")
        if new:
            self.size = file.write(line(replace(self.header, recorded_at=round(time(), 3))))
        return file

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError:
            pass  # what was written was flushed, and a failure of that was told


def _check_place(path: Path) -> None:
    """Refuse what is there and no cassette: a mistyped name must not cost a file."""
    folder = path.parent
    try:
        if not folder.is_dir():
            raise ConfigurationError(
                f"There is no folder {folder}.", hint="Make it, or choose another."
            )
        if path.exists() and not may_become_cassette(_beginning(path)):
            raise ConfigurationError(
                f"{path} is there and is no cassette.", hint="Choose another name."
            )
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise PermissionError(EACCES, "Permission denied")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}.") from None


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)
