"""Every error that Headrace raises, as one tree. A name says whose fault it is.

    HeadraceError
    ├── UsageError                     the calling program: wrong argument, order or setting
    │   ├── ConfigurationError         no such provider or model, no key, a bad setting
    │   ├── UnknownOption              an option that no model knows
    │   ├── StreamingUnsupported       the model (or its endpoint) cannot stream
    │   ├── MissingExtra               an optional dependency is not installed
    │   ├── ChannelClosed              sent to, or closed twice, after the end
    │   ├── InvalidId                  an id or key that can name nothing
    │   ├── InvalidCursor              an `after` that no event of the run ever had
    │   ├── InputTooLarge              a request past its bound
    │   ├── TooManyRuns                the runtime has as many live runs as it takes
    │   ├── AgentUnknown               no agent of this name is here to run
    │   ├── RunNotFound                no such run (any more)
    │   ├── RunEnded                   the run has ended; nothing can be sent to it
    │   ├── NoApprovalNeeded           no such call waits for a person (any more)
    │   ├── ApprovalChanged            a call waits with other arguments than were seen
    │   ├── SessionNotFound            no such session (any more)
    │   ├── SessionBusy                the session has a live run
    │   ├── SessionConflict            someone else has added to the session since
    │   ├── IdempotencyConflict        the key was used for another request
    │   └── RequestRefused             a request over HTTP that the server does not take
    ├── ProviderError                  the model's server: it refused, broke or fell silent
    │   ├── ConnectionFailed           no connection, or it was reset before the first byte
    │   ├── AuthenticationFailed       401, 403: the key is wrong or may not do this
    │   ├── RequestRejected            other 4xx: the request itself was refused
    │   ├── RateLimited                429: too many requests, or no quota left
    │   ├── ProviderUnavailable        408, 409, 5xx: the provider's own trouble
    │   ├── InvalidResponse            not the protocol: HTML, garbage, a redirect
    │   ├── StreamTruncated            the transport ended without the provider's own end
    │   ├── AnswerRefused              a guard withdrew what the model wrote, again and again
    │   ├── GuardFailed                a guard raised: nothing more of the answer is shown
    │   ├── ServerRefused              a Headrace server refused: code and words are its own
    │   └── DeadlineExceeded           connect, first content, gap or whole run took too long
    ├── WireError                      bytes past a bound
    │   ├── LineTooLong
    │   └── EventTooLarge
    ├── BudgetSpent                    the run has used what its agent's budget allows
    ├── InvalidOutput                  the model's answer does not fit the agent's output type
    ├── ToolError                      a tool: its arguments, its exception, its deadline
    │   ├── InvalidArguments           what the model sent does not fit the tool's schema
    │   └── ToolServerError            a server of tools (MCP) cannot be reached, or was lost
    ├── ConsumerError                  whoever reads: too slow, or asks for what is gone
    │   ├── BackpressureTimeout
    │   ├── StreamTimeout              `with_timeout` ran out
    │   ├── ViewerLagged               too far behind for the policy `disconnect`
    │   └── ReplayGap                  events that retention has cut away
    ├── StoreUnavailable               where runs are kept: full, locked, broken or closed
    │   └── StoreTooNew                it was written by a newer Headrace
    ├── RecoveryLimit                  a run lost its process again and again
    ├── RunHandedOver                  another process goes on with the run
    ├── LogConflict                    a stale writer: compare-and-append was refused
    ├── LogTooLarge                    a run's log passed its bound
    ├── RunFailed                      a view reached the terminal `error` event
    └── RunCancelled                   a view reached the terminal `cancelled` event

Each error has a stable `code` (snake_case, the word in an `error` event), a `message` for a
person that names the value or limit, and a `hint` that says what to do, where there is
something to do. `retryable` is true only where the same call may succeed a little later.
"""

from __future__ import annotations

from collections.abc import Sequence


class HeadraceError(Exception):
    """The root of the tree.

    Attributes:
        code: A stable word for programs, such as ``rate_limited``.
        message: One sentence for a person.
        hint: What to do about it, or ``""``.
        retryable: Whether the same call may succeed a little later.
    """

    code: str = "internal"
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(HeadraceError):
    """The calling program did something that can never work."""

    code = "usage"


class ConfigurationError(UsageError):
    """A provider, model, key or setting is unknown, missing or contradictory."""

    code = "configuration"


class UnknownOption(UsageError):
    """An option that no model knows; the message lists the known ones."""

    code = "unknown_option"


class StreamingUnsupported(UsageError):
    """The model cannot stream."""

    code = "streaming_unsupported"


class MissingExtra(UsageError):
    """An optional dependency is not installed; the hint is the command that installs it."""

    code = "missing_extra"


class ChannelClosed(UsageError):
    """Something was sent to a channel after its end."""

    code = "channel_closed"


class InvalidId(UsageError):
    """An id or key that can name nothing: empty, too long, or with characters it may not have."""

    code = "invalid_id"


class InvalidCursor(UsageError):
    """An `after` that no event of the run ever had: negative, or past the log's end."""

    code = "invalid_cursor"


class InputTooLarge(UsageError):
    """A request is past its bound."""

    code = "input_too_large"


class TooManyRuns(UsageError):
    """The runtime has as many live runs as it takes."""

    code = "too_many_runs"
    retryable = True


class AgentUnknown(UsageError):
    """No agent of this name is here to run, or to go on with its run."""

    code = "agent_unknown"


class RunNotFound(UsageError):
    """There is no such run, or retention has removed it."""

    code = "run_not_found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id[:80]!r}.", hint="headrace runs lists them.")
        self.run_id = run_id


class RunEnded(UsageError):
    """The run has ended; nothing can be sent to it any more."""

    code = "run_ended"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"The run {run_id[:80]} has ended.", hint="Start a new one.")
        self.run_id = run_id


class NoApprovalNeeded(UsageError):
    """No such call waits for a person: there is none, or it was decided, or several have the id.

    Attributes:
        call_id: The call that was named.
        agents: Paths of the agents whose calls with this id wait; where there is more than one,
            the decision has to name the agent.
    """

    code = "no_approval_needed"

    def __init__(self, call_id: str, agents: Sequence[str] = ()) -> None:
        named = ", ".join(repr(agent) for agent in agents)
        super().__init__(
            f"{len(agents)} calls with the id {call_id[:80]!r} wait for a decision."
            if agents
            else f"No call {call_id[:80]!r} of this run waits for a decision.",
            hint=f"Name the agent: {named}." if agents else "",
        )
        self.call_id = call_id
        self.agents = tuple(agents)


class ApprovalChanged(UsageError):
    """The call waits with other arguments than those that were seen: look at them again."""

    code = "approval_changed"

    def __init__(self, call_id: str) -> None:
        super().__init__(
            f"The call {call_id[:80]!r} waits with other arguments than those that you saw.",
            hint="Read its approval_needed event, and decide about that.",
        )
        self.call_id = call_id


class SessionNotFound(UsageError):
    """There is no such session, or it was deleted."""

    code = "session_not_found"

    def __init__(self, session: str) -> None:
        super().__init__(
            f"There is no session {session[:80]!r}.", hint="headrace sessions lists them."
        )
        self.session = session


class SessionBusy(UsageError):
    """The session has a live run; a session has at most one.

    Attributes:
        run_id: The live run.
    """

    code = "session_busy"
    retryable = True

    def __init__(self, session: str, run_id: str) -> None:
        super().__init__(
            f"The session {session[:80]!r} has a live run, {run_id}.",
            hint="Wait for its end, or cancel it.",
        )
        self.session = session
        self.run_id = run_id


class SessionConflict(UsageError):
    """Compare-and-append to a session was refused: someone else has added to it since."""

    code = "session_conflict"
    retryable = True


class IdempotencyConflict(UsageError):
    """The idempotency key was used before, for another request."""

    code = "idempotency_conflict"


class RequestRefused(UsageError):
    """A request that the server does not take.

    Attributes:
        status: The HTTP status of the answer.
        retry_after: Seconds after which the same request may be taken, where that helps.
    """

    code = "request_refused"

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.retryable = retry_after is not None


class ProviderError(HeadraceError):
    """The model's server refused, broke or fell silent.

    Attributes:
        provider: Who, as in the provider table (``openai``).
        status: The HTTP status, where there was one.
        retry_after: Seconds that the provider asked to wait, where it told.
        turn: The `headrace.models.assembler.Turn` so far, where a whole turn was asked for.
        instead: The `headrace.models.model.Model` to ask again, where a fallback has one left.
    """

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        provider: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.provider = provider
        self.status = status
        self.retry_after = retry_after
        self.turn: object | None = None
        self.instead: object | None = None
        if retryable is not None:
            self.retryable = retryable


class ConnectionFailed(ProviderError):
    """No connection could be made, or it broke before any answer."""

    code = "connection_failed"
    retryable = True


class AuthenticationFailed(ProviderError):
    """The provider refused the key (401, 403)."""

    code = "authentication_failed"


class RequestRejected(ProviderError):
    """The provider refused the request itself (4xx)."""

    code = "request_rejected"


class RateLimited(ProviderError):
    """Too many requests (429); not retryable when the quota is spent."""

    code = "rate_limited"
    retryable = True


class ProviderUnavailable(ProviderError):
    """The provider's own trouble (408, 409, 5xx)."""

    code = "provider_unavailable"
    retryable = True


class InvalidResponse(ProviderError):
    """What came back is not the provider's protocol: HTML, garbage bytes, a redirect."""

    code = "invalid_response"


class StreamTruncated(ProviderError):
    """The transport ended without the provider's own end of the answer (law 3)."""

    code = "stream_truncated"
    retryable = True


class AnswerRefused(ProviderError):
    """A guard withdrew what the model wrote."""

    code = "guard"

    def __init__(self, reason: str) -> None:
        super().__init__(f"A guard withdrew the answer: {reason}")
        self.reason = reason


class GuardFailed(ProviderError):
    """A guard raised; nothing more of the answer is shown.

    The guard's own words are left out, as they may hold what it was to hide: they are the cause's.
    """

    code = "guard_failed"

    def __init__(self, error: Exception) -> None:
        said = error.message if isinstance(error, HeadraceError) else f"{type(error).__name__}."
        super().__init__(f"A guard failed: {said}", hint="Nothing more of the answer is shown.")
        self.__cause__ = error


class ServerRefused(ProviderError):
    """A Headrace server refused a request, or ended a run's stream.

    `code`, `message` and `hint` are the server's own: the code is that of a `HeadraceError` there.
    """

    code = "server_refused"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        hint: str = "",
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            hint=hint,
            provider="headrace",
            status=status,
            retryable=retryable,
            retry_after=retry_after,
        )
        if code:
            self.code = code


class DeadlineExceeded(ProviderError):
    """A wait took longer than its deadline (law 8).

    Attributes:
        wait: ``connect``, ``first_content``, ``gap`` or ``run``.
        seconds: The deadline that ran out.
    """

    code = "deadline_exceeded"
    retryable = True

    def __init__(self, wait: str, seconds: float, *, provider: str = "", hint: str = "") -> None:
        what = {
            "connect": "connecting took",
            "first_content": "no first content came for",
            "gap": "no further content came for",
            "run": "the run took",
        }.get(wait, wait)
        who = f"{provider}: " if provider else ""
        super().__init__(
            f"{who}{what} more than {seconds:g} s.",
            hint=hint or f"Raise the deadline `{wait}` if such a wait is normal.",
            provider=provider,
        )
        self.wait = wait
        self.seconds = seconds


class WireError(HeadraceError):
    """Bytes went past a bound of a decoder."""

    code = "wire_limit"


class LineTooLong(WireError):
    """One line is longer than the limit."""

    code = "line_too_long"


class EventTooLarge(WireError):
    """One event is larger than the limit."""

    code = "event_too_large"


class BudgetSpent(HeadraceError):
    """The run has used what its agent's budget allows; its code names of what.

    Attributes:
        code: ``budget_tokens``, ``budget_cost``, ``budget_tools`` or ``budget_seconds``.
    """

    code = "budget_tokens"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidOutput(HeadraceError):
    """The model's answer does not fit the agent's output type; the message says why."""

    code = "invalid_output"


class ToolError(HeadraceError):
    """A tool failed. Raise it in a tool to tell the model something in your own words."""

    code = "tool_error"


class InvalidArguments(ToolError):
    """The model's arguments do not fit the tool's schema; the message lists every fault."""

    code = "invalid_arguments"


class ToolServerError(ToolError):
    """A server of tools (MCP) cannot be started or reached, or was lost during a call."""

    code = "tool_server"


class ConsumerError(HeadraceError):
    """The reader of a stream is too slow or asks for what is gone."""

    code = "consumer_error"


class BackpressureTimeout(ConsumerError):
    """A reader took nothing for longer than its policy allows."""

    code = "backpressure_timeout"


class StreamTimeout(ConsumerError):
    """`with_timeout` ran out before the stream ended."""

    code = "stream_timeout"


class ViewerLagged(ConsumerError):
    """A viewer with the policy `disconnect` fell too far behind."""

    code = "viewer_lagged"
    retryable = True


class ReplayGap(ConsumerError):
    """The events asked for are no longer kept.

    Attributes:
        first: The first missing `seq`.
        last: The last missing `seq`.
    """

    code = "replay_gap"

    def __init__(self, first: int, last: int) -> None:
        super().__init__(
            f"Events {first} to {last} of this run are no longer kept.",
            hint=f"Read on after {last}, or take the run's snapshot.",
        )
        self.first = first
        self.last = last


class StoreUnavailable(HeadraceError):
    """Where runs are kept cannot be used: full, locked, broken or closed.

    What was shown is kept; nothing else was shown. Once the cause is gone, new runs work, and
    recovery takes up those that were interrupted.
    """

    code = "store_unavailable"
    retryable = True


class StoreTooNew(StoreUnavailable):
    """The store was written by a newer Headrace than this one."""

    code = "store_too_new"
    retryable = False


class RecoveryLimit(HeadraceError):
    """A run lost its process again and again, so it may be what brings processes down."""

    code = "recovery_limit"


class RunHandedOver(HeadraceError):
    """The run goes on in another process, or will: follow it through the store."""

    code = "run_handed_over"
    retryable = True

    def __init__(self, run_id: str) -> None:
        super().__init__(f"The run {run_id} was handed over.", hint="Attach to it again.")
        self.run_id = run_id


class LogConflict(HeadraceError):
    """Compare-and-append was refused: someone else has written since (law 1)."""

    code = "log_conflict"


class LogTooLarge(HeadraceError):
    """A run's log would pass its bound."""

    code = "log_too_large"


class RunFailed(HeadraceError):
    """A view reached the terminal `error` event of its run.

    `code`, `message` and `retryable` are the event's; `__cause__` is the original exception
    when the run lived in this process.

    Attributes:
        partial: The answer's text so far.
        run_id: The run.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        partial: str = "",
        run_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.partial = partial
        self.run_id = run_id


class RunCancelled(HeadraceError):
    """A view reached the terminal `cancelled` event of its run.

    Attributes:
        reason: Why, as given to `cancel`.
        partial: The answer's text so far.
        run_id: The run.
    """

    code = "cancelled"

    def __init__(self, reason: str, *, partial: str = "", run_id: str = "") -> None:
        super().__init__(
            f"The run was cancelled: {reason}." if reason else "The run was cancelled."
        )
        self.reason = reason
        self.partial = partial
        self.run_id = run_id
