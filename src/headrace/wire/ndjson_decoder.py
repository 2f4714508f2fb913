"""Newline-delimited JSON from bytes: LF ends a line and nothing else does.

The lines come out as bytes, for a typed parser to read; JSON has no raw LF inside a value
(RFC 8259, section 7), so a line is a whole document.
"""

from __future__ import annotations

from headrace.errors import HeadraceError, LineTooLong, UsageError, WireError

MAX_LINE = 8 * 1024 * 1024

_BLANK = b" \t\r"  # JSON's own white space (RFC 8259, section 2), LF apart


class NDJSONDecoder:
    """Cuts one stream into lines; make a new one for each connection.

    An error never costs lines: those complete before the offending bytes are returned, and the
    error is raised by the next call. A decoder that has failed stays failed.

    Args:
        max_line: Bytes of one line, its LF not counted.
    """

    __slots__ = ("_failure", "_line", "_max_line")

    def __init__(self, *, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._line = bytearray()  # the unfinished line
        self._failure: HeadraceError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that they complete.

        Lines come without their LF and without a CR before it; those of white space are skipped.

        Raises:
            LineTooLong: A line, finished or not, is longer than `max_line`.
            UsageError: The decoder was closed.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        lines: list[bytes] = []
        try:
            self._take(data, lines)
        except WireError as error:
            self._end(error)
            if not lines:
                raise
        return lines

    def close(self) -> list[bytes]:
        """End the stream and return the last line, where it had no LF.

        Closing again gives nothing; feeding afterwards is an error.

        Raises:
            LineTooLong: As in `feed`, where that has not been able to raise it.
        """
        if isinstance(self._failure, WireError):
            raise self._failure.with_traceback(None)
        line = bytes(self._line).removesuffix(b"\r")
        self._end(UsageError("The decoder is closed.", hint="Make a new one for each connection."))
        return [line] if line.strip(_BLANK) else []

    def _end(self, failure: HeadraceError) -> None:
        self._failure = failure
        self._line.clear()

    def _take(self, data: bytes, lines: list[bytes]) -> None:
        *ended, rest = data.split(b"\n")
        for line in ended:
            if self._line:
                self._line += line
                line = bytes(self._line)
                self._line.clear()
            self._check(line)  # with its CR, so that a cut before the LF makes no difference
            line = line.removesuffix(b"\r")
            if line.strip(_BLANK):
                lines.append(line)
        self._line += rest
        self._check(self._line)

    def _check(self, line: bytes | bytearray) -> None:
        if len(line) > self._max_line:
            raise LineTooLong(f"A line of the JSON stream is over {self._max_line} bytes.")
