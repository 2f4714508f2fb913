"""What a run adds to its session, and what sessions are called: pure."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import SessionConflict
from headrace.events import Event, Retract, StepEnd, StepStart, Token
from headrace.messages import Message
from headrace.runs.fold import Folder
from headrace.text import TextBuffer


def session_of(user: str, name: str) -> str:
    """What a user's session is called in a store where each user has names of their own.

    A name of a user with a colon in it could meet another's.
    """
    return f"{user}:{name}" if user else name


def name_of(user: str, session: str | None) -> str | None:
    """What the user calls it, where it was named by `session_of`; else its name."""
    return session.removeprefix(f"{user}:") if session and user else session


def check_keep(keep: int, version: int) -> None:
    """Whether the first `keep` messages of a session of so many can be kept.

    Raises:
        SessionConflict: it has fewer.
    """
    if keep > version:
        raise SessionConflict(
            f"The session has {version} messages, of which {keep} cannot be kept.",
            hint="It was changed meanwhile: read it again.",
        )


class Said:
    """Collects what was said in one run, for the session's next run to know.

    That is the input, what the run's good steps said, and of an answer that was stopped or broke
    off the part that was shown: the conversation goes on from what its reader saw.

    Args:
        input: The run's new messages.

    Attributes:
        folder: The run's state, as far as its structural events tell.
    """

    def __init__(self, input: Sequence[Message]) -> None:
        self._input = tuple(input)
        self._cut = ""  # what the step that was cut had said
        self._tokens = TextBuffer()  # of a step whose process was lost before it could say it
        self.folder = Folder()

    def add(self, event: Event) -> None:
        """Take the run's next structural event; of a run that is taken up, every event."""
        self.folder.add(event)
        if event.agent:
            return
        if isinstance(event, StepStart | Retract):
            self._cut, self._tokens = "", TextBuffer()
        elif isinstance(event, Token):
            self._tokens.append(event.content)
        elif isinstance(event, StepEnd) and event.finish_reason in ("error", "cancelled"):
            self._cut = event.message.text or str(self._tokens)

    def messages(self) -> tuple[Message, ...]:
        """What goes to the session: nothing where no answer came.

        A question alone would leave two user messages in a row, which some servers refuse.
        """
        done = self.folder.state().messages
        cut = (Message.assistant(self._cut),) if self._cut.strip() else ()
        if not cut and not any(message.role == "assistant" for message in done):
            return ()
        return (*self._input, *done, *cut)
