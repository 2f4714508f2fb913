"""What a run adds to its session: pure, from the run's structural events."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.events import Event, Retract, StepEnd, StepStart, Token
from headrace.messages import Message
from headrace.runs.fold import Folder
from headrace.text import TextBuffer


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
