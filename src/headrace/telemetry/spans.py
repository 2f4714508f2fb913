"""A run as OpenTelemetry's spans: the agent, and below it its model calls, tools and sub-agents."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from headrace.events import AgentEnd, Answer, Error, Event, StepEnd, ToolEnd, ToolStart
from headrace.runs.run import RunInfo
from headrace.telemetry import conventions as names
from headrace.telemetry.families import MAX_LABEL
from headrace.telemetry.figures import AgentCall, ModelCall, RunEnded, ToolCall
from headrace.telemetry.instruments import answered_by, labels_of
from headrace.telemetry.span_content import told, told_message
from headrace.usage import Usage

MAX_WORDS = 1000
"""Characters of what an error says of itself, where that is told at all."""

Value = str | bool | int | float | list[str]
Call = ModelCall | ToolCall | AgentCall


class RunSpans:
    """The spans of one run, from its root on, which begins at once.

    Args:
        tracer: Makes them.
        run_id: The run.
        info: What is known of it.
        labels: Provider and model as the conventions call them.
        content: Whether spans hold what people, models and tools say.
    """

    def __init__(
        self, tracer: Tracer, run_id: str, info: RunInfo, labels: tuple[str, str], content: bool
    ) -> None:
        self._tracer = tracer
        self._content = content
        self._of_all: dict[str, Value] = (
            {names.CONVERSATION: info.session[:MAX_LABEL]} if info.session else {}
        )
        attributes = {
            names.OPERATION: names.INVOKE_AGENT,
            names.AGENT_NAME: info.agent_name,
            names.RUN_ID: run_id,
            **_of_model(labels),
            **self._of_all,
        }
        self._outside = contexts.get_current()
        self.root = tracer.start_span(
            _name(names.INVOKE_AGENT, info.agent_name), self._outside, attributes=attributes
        )
        # By path, those who speak there: the last one, once a conversation was handed over.
        self._agents = {"": [set_span_in_context(self.root, self._outside)]}
        self._open: dict[Call, tuple[Span, Context]] = {}
        self._within: dict[tuple[str, str], Context] = {}
        self._said: dict[str, StepEnd] = {}

    # Calls -------------------------------------------------------------------------------------

    def begin(self, call: Call, event: Event) -> None:
        """A call begins; what it does in its own task from now on is below its span."""
        parent = self._above(call)
        kind = SpanKind.INTERNAL
        attributes: dict[str, Value]
        match call:
            case ModelCall():
                name, kind = _name(names.CHAT, call.model), SpanKind.CLIENT
                labels = labels_of(call.provider, call.model)
                attributes = {
                    names.OPERATION: names.CHAT,
                    names.REQUEST_STREAM: True,
                    **_of_model(labels),
                    **self._of_all,
                }
            case ToolCall():
                name = _name(names.EXECUTE_TOOL, call.name)
                attributes = {**self._of_tool(call, event), **self._of_all}
            case AgentCall():
                name = _name(names.INVOKE_AGENT, call.name)
                attributes = {
                    names.OPERATION: names.INVOKE_AGENT,
                    names.AGENT_NAME: call.name[:MAX_LABEL],
                    **self._of_all,
                }
        span = self._tracer.start_span(
            name, parent, kind=kind, attributes=attributes, start_time=_ns(call.began)
        )
        inner = set_span_in_context(span, parent)
        self._open[call] = (span, inner)
        if isinstance(call, AgentCall):
            self._agents.setdefault(call.agent, []).append(inner)
            return
        self._within[_place(event)] = inner
        contexts.attach(inner)

    def leave(self, event: Event) -> None:
        """A call's end is written: what its task does from now on is below it no more."""
        if self._content and isinstance(event, StepEnd):
            self._said[event.agent] = event  # the call itself may be told later, by another event
        inner = self._within.pop(_place(event), None)
        if inner is not None and contexts.get_current() is inner:
            contexts.attach(self._speaker(event.agent))

    def end(self, call: Call, event: Event | None) -> None:
        """A call has ended; its event is the end's own, or the one that named its error."""
        if call not in self._open:
            return
        span, inner = self._open.pop(call)
        if isinstance(call, AgentCall):
            self._agents[call.agent].remove(inner)
        if span.is_recording():
            if isinstance(call, ModelCall):
                self._answered(span, call)
            if self._content:
                said = self._said.pop(call.agent, None) if isinstance(call, ModelCall) else event
                self._say(span, said)
            if call.error:
                self._fail(span, call.error, _words(event) if self._content else None)
        span.end(_ns(call.began + call.seconds))

    # The run -----------------------------------------------------------------------------------

    def warn(self, agent: str, code: str, at: float) -> None:
        """A warning, on the model call that it is about."""
        calls = (c for c in self._open if isinstance(c, ModelCall) and c.agent == agent)
        call = next(calls, None)
        span = self.root if call is None else self._open[call][0]
        span.add_event(names.WARNING, {names.WARNING_CODE: code[:MAX_LABEL]}, _ns(at))

    def finish(self, end: RunEnded, event: Event | None) -> None:
        """The run has ended."""
        self._end_open()
        if self.root.is_recording():
            reason = end.reason if end.status == "complete" else end.status
            self.root.set_attributes(
                {names.FINISH_REASONS: [reason[:MAX_LABEL]], **_usage(end.usage)}
            )
            if end.status == "error":
                self._fail(self.root, end.reason, _words(event) if self._content else None)
        self.root.end(_ns(end.at))

    def answer(self, event: Answer) -> None:
        """The answer as a whole."""
        if self._content:
            text = {"type": "text", "content": event.content}
            whole = [{"role": "assistant", "parts": [text]}]
            self.root.set_attribute(names.OUTPUT_MESSAGES, told(whole))

    def lose(self) -> None:
        """The run goes on elsewhere, or its log has failed."""
        self._end_open()
        self.root.set_attribute(names.RUN_LOST, True)
        self.root.end()

    def _end_open(self) -> None:
        for span, _ in self._open.values():
            span.end()
        self._open.clear()

    def _above(self, call: Call) -> Context:
        """The context of the agent that calls."""
        return self._speaker(call.agent)

    def _speaker(self, path: str) -> Context:
        """Who speaks at this path, or at the nearest one above it where someone does."""
        while path and not self._agents.get(path):
            path = path.rpartition("/")[0]
        return self._agents[path][-1]

    def _of_tool(self, call: ToolCall, event: Event) -> dict[str, Value]:
        found: dict[str, Value] = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.TOOL_NAME: call.name[:MAX_LABEL],
            names.TOOL_CALL_ID: call.call_id[:MAX_LABEL],
            names.TOOL_TYPE: "function",
        }
        if self._content and isinstance(event, ToolStart):
            found[names.TOOL_ARGUMENTS] = told(event.input)
        return found

    def _answered(self, span: Span, call: ModelCall) -> None:
        found: dict[str, Value] = {names.FINISH_REASONS: [call.finish_reason], **_usage(call.usage)}
        if call.first is not None:
            found[names.RESPONSE_FIRST_CHUNK] = call.first
        if answered_by(call):
            found[names.PROVIDER], found[names.RESPONSE_MODEL] = labels_of(
                call.provider, call.model
            )
        span.set_attributes(found)

    def _say(self, span: Span, event: Event | None) -> None:
        if isinstance(event, StepEnd):
            span.set_attribute(names.OUTPUT_MESSAGES, told([told_message(event.message)]))
        elif isinstance(event, ToolEnd):
            span.set_attribute(names.TOOL_RESULT, told(event.output))

    def _fail(self, span: Span, error: str, words: str | None) -> None:
        span.set_attribute(names.ERROR_TYPE, error[:MAX_LABEL])
        span.set_status(Status(StatusCode.ERROR, words))


def _of_model(labels: tuple[str, str]) -> dict[str, Value]:
    provider, model = labels
    found: dict[str, Value] = {names.PROVIDER: provider}
    if model:
        found[names.REQUEST_MODEL] = model[:MAX_LABEL]
    return found


def _usage(usage: Usage) -> Mapping[str, Value]:
    found: dict[str, Value] = {
        names.INPUT_TOKENS: usage.input,
        names.OUTPUT_TOKENS: usage.output,
    }
    if usage.cached:
        found[names.CACHED_TOKENS] = usage.cached
    if usage.reasoning:
        found[names.REASONING_TOKENS] = usage.reasoning
    if not usage.exact:
        found[names.USAGE_ESTIMATED] = True
    return found


def _words(event: Event | None) -> str | None:
    """What a failure says of itself, which may repeat what people said."""
    if isinstance(event, Error):
        return event.message[:MAX_WORDS]
    if isinstance(event, ToolEnd | AgentEnd) and event.error:
        return event.error[:MAX_WORDS]
    return None


def _place(event: Event) -> tuple[str, str]:
    """Where a call stands that begins or ends: its agent, and a tool's call id."""
    return (event.agent, getattr(event, "call_id", ""))


def _name(operation: str, of: str) -> str:
    return f"{operation} {of[:MAX_LABEL]}" if of else operation


def _ns(at: float) -> int:
    return int(at * 1e9)
