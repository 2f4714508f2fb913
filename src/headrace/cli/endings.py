"""How a command ends: its exit code, and one clear line where something went wrong.

====  =============================================================================
code  meaning
====  =============================================================================
0     the answer is whole (finish reason ``stop``)
1     the run failed
2     the command line or a setting is wrong; nothing was asked
3     the answer ended early: ``length``, ``content_filter``, ``max_steps``
130   Ctrl-C
141   whoever read the output left (``| head``)
143   SIGTERM
====  =============================================================================
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from headrace.errors import HeadraceError, UsageError

FAILED = 1
WRONG_USE = 2
ENDED_EARLY = 3
INTERRUPTED = 130
READER_LEFT = 141


@contextmanager
def clear_endings() -> Iterator[None]:
    """Turn whatever a command raises into an exit code and a line on stderr.

    With ``HEADRACE_DEBUG=1`` the traceback comes out instead.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as `main` leaves it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
        sys.stdout.flush()  # here, where a broken pipe can still be told from an error
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        leave_quietly()
    except Exception as error:  # the last place where it can be told
        if os.environ.get("HEADRACE_DEBUG", "") not in ("", "0"):
            raise
        if isinstance(error, OSError):  # such as a full disk
            _write_nowhere()
        complain(*_words(error))
        raise typer.Exit(WRONG_USE if isinstance(error, UsageError) else FAILED) from None


def complain(message: str, hint: str = "") -> None:
    """Write one line on stderr, and one for what to do."""
    from headrace.frontends.escapes import one_line

    print(f"headrace: {one_line(message, 1000)}", file=sys.stderr)
    if hint:
        print(f"  {one_line(hint, 1000)}", file=sys.stderr)


def leave_quietly() -> NoReturn:
    """End after the reader of the output has left: nothing more can be written there.

    Raises:
        typer.Exit: always, with `READER_LEFT`.
    """
    _write_nowhere()
    raise typer.Exit(READER_LEFT)


def _write_nowhere() -> None:
    """The interpreter flushes stdout at its end and would complain again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _words(error: Exception) -> tuple[str, str]:
    if isinstance(error, HeadraceError):
        return error.message, error.hint
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror or error}.", ""  # without Python's "[Errno 28]"
    return (
        f"Internal error: {type(error).__name__}: {error}",
        "Run it again with HEADRACE_DEBUG=1 to see where.",
    )
