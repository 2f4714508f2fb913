"""The command `headrace`: what has to stand before the subcommands are loaded.

To load them takes a good part of a second. Whoever presses Ctrl-C meanwhile wants to leave, and not
to read where Python was.
"""

from __future__ import annotations

import os
import signal
import sys
from io import TextIOWrapper

from headrace import __version__

VERSION = f"headrace {__version__}"


def main() -> None:
    """Run the command line."""
    _end_on_ctrl_c()
    _open_what_is_closed()
    # Whatever the locale: an odd character is shown as `?`, never a crash in mid-answer.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")

    from headrace.cli.commands import app

    app()


def _end_on_ctrl_c() -> None:
    """Until a command has begun, which says how it ends (`clear_endings`)."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _open_what_is_closed() -> None:
    """Give each standard stream that was closed before the start nowhere to read from or write to.

    Python has None for it, and the system would give its number to the next file or socket.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode, closefd=False))
