"""Decides what a person sees of a run: what is final, what is still open, what is busy. Pure.

Events go in; out come items that are shown once and never touched again. What may still change
stands in `open` and `busy` until then, and a screen draws these two anew as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headrace.events import (
    TERMINAL,
    AgentEnd,
    AgentStart,
    Approval,
    ApprovalNeeded,
    Cancelled,
    Complete,
    Event,
    Input,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolProgress,
    ToolStart,
    Warn,
)
from headrace.frontends.escapes import one_line, visible
from headrace.frontends.markdown_blocks import Block, BlockSplitter
from headrace.frontends.summary import footer, tool_line
from headrace.runs.fold import Folder

Kind = Literal[
    "answer", "reasoning", "tool", "failed_tool", "withdrawn", "warning", "input", "footer"
]


@dataclass(frozen=True)
class Item:
    """Something to show: Markdown for an ``answer``, plain text for all other kinds."""

    kind: Kind
    text: str


class Transcript:
    """Follows one run.

    Attributes:
        busy: What is going on right now, a line each, oldest first; empty while text comes.
    """

    def __init__(self) -> None:
        self._folder = Folder()
        self._splitter = BlockSplitter()
        self._kind: Literal["answer", "reasoning"] = "answer"
        self._committed = 0  # characters of the answer that are shown for good
        self._segment = 0  # of these, the ones from before the latest tools
        self._waiting = ""
        self._running: dict[tuple[str, str], str] = {}

    def open(self, lines: int) -> Item | None:
        """The block that is being written; of a long one, at least its last lines."""
        text = self._splitter.tail(lines).markdown
        return Item(self._kind, text) if text.strip() else None

    @property
    def busy(self) -> list[str]:
        """What is going on, a line each; empty while text comes."""
        return list(self._running.values()) or ([self._waiting] if self._waiting else [])

    def add(self, event: Event) -> list[Item]:
        """Take the next event; gives what is now to be shown for good."""
        self._folder.add(event)
        match event:
            case Token() | Thought():
                return self._text(event)
            case ToolStart() | ToolProgress() | AgentStart() | ToolArgs() | ApprovalNeeded():
                self._busy(event)
                return []
            case ToolEnd() | AgentEnd() | Approval():
                return self._done(event)
            case RunStart() | StepStart() | StepEnd():
                return self._step(event)
            case Retract():
                return self._retract(event)
            case _:
                return self._rest(event)

    def _text(self, event: Token | Thought) -> list[Item]:
        if event.agent:
            return []
        self._waiting = ""
        return self._feed("answer" if isinstance(event, Token) else "reasoning", event.content)

    def _feed(self, kind: Literal["answer", "reasoning"], content: str) -> list[Item]:
        items = self._flush() if kind != self._kind else []
        self._kind = kind
        return items + self._commit(self._splitter.feed(visible(content)))

    def _flush(self) -> list[Item]:
        """What is open is finished."""
        items = self._commit(self._splitter.close())
        self._segment = self._committed
        return items

    def _commit(self, blocks: list[Block]) -> list[Item]:
        if self._kind == "answer":
            self._committed += sum(len(block.text) for block in blocks)
        return [Item(self._kind, block.markdown) for block in blocks if block.text.strip()]

    def _step(self, event: RunStart | StepStart | StepEnd) -> list[Item]:
        if event.agent:
            return []
        if isinstance(event, StepEnd):
            self._waiting = ""
            # A failed step stays open: it may be withdrawn and asked again.
            return [] if event.finish_reason in ("error", "cancelled") else self._flush()
        self._waiting = f"waiting for {one_line(event.model, 60)}"
        return []

    def _busy(
        self, event: ToolStart | ToolProgress | AgentStart | ToolArgs | ApprovalNeeded
    ) -> None:
        running = self._running
        match event:
            case ToolArgs():
                if not event.agent:
                    self._waiting = f"calling {one_line(event.name, 60)}"
            case ToolProgress():
                key = (event.agent, event.call_id)
                if key in running:
                    name = running[key].partition(" · ")[0]
                    running[key] = f"{name} · {one_line(event.content, 120)}"
            case ToolStart():
                running[event.agent, event.call_id] = one_line(event.name, 60)
            case ApprovalNeeded():
                name = one_line(event.name, 60)
                running["approval", event.call_id] = f"{name} waits for approval"
            case AgentStart():
                running[f"agent {event.agent}", event.name] = (
                    f"{one_line(event.name, 60)} · {one_line(event.task, 120)}"
                )

    def _done(self, event: ToolEnd | AgentEnd | Approval) -> list[Item]:
        running = self._running
        if isinstance(event, Approval):
            running.pop(("approval", event.call_id), None)
            return []
        if isinstance(event, AgentEnd):
            running.pop((f"agent {event.agent}", event.name), None)
        else:
            running.pop((event.agent, event.call_id), None)
        kind: Kind = "tool" if event.error is None else "failed_tool"
        return [*self._flush(), Item(kind, tool_line(event))]

    def _retract(self, event: Retract) -> list[Item]:
        """Take back what can be taken back; say so of the rest, and start the answer again."""
        if event.agent:
            return []
        stands = visible(self._folder.state().text)
        self._splitter.close()
        self._kind = "answer"
        again = ""
        if len(stands) < self._committed:
            again = "; the answer starts again"
            self._committed = self._segment = min(self._segment, len(stands))
        said = Item("withdrawn", f"↺ withdrawn: {one_line(event.reason)}{again}")
        return [said, *self._feed("answer", stands[self._committed :])]

    def _rest(self, event: Event) -> list[Item]:
        if isinstance(event, TERMINAL):
            self._running.clear()
            self._waiting = ""
        match event:
            case Warn():
                return [Item("warning", f"⚠ {one_line(event.message)}")]
            case Input():
                return [*self._flush(), Item("input", f"» {one_line(event.content)}")]
            case Complete() | Cancelled():
                return [*self._flush(), Item("footer", footer(event))]
            case _:
                return self._flush() if isinstance(event, TERMINAL) else []
