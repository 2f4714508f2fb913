"""OpenTelemetry's metrics of runs.

The SDK takes several times as long to record a value as a run takes for a token. So what ends is
put aside, and recorded when metrics are collected, or when enough has come together: one after
another these cost half.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from random import random

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from headrace.telemetry import conventions as names
from headrace.telemetry.families import Labels, Series
from headrace.telemetry.figures import AgentCall, ModelCall, RunEnded, ToolCall

Attributes = dict[str, str]

MODEL = (names.PROVIDER, names.REQUEST_MODEL)

MAX_GAPS = 64
"""Gaps between contents that are recorded at once of one model; of more, as many at random."""

MAX_PENDING = 64
"""What has ended and is not recorded yet; with more it is recorded at once."""


NOWHERE = Context({"headrace": "late"})
"""Where values are recorded: not in the span that happens to be open then (exemplars)."""


class Sample:
    """Values of one kind: all of them, or of more than `MAX_GAPS` as many at random.

    Each value has the same chance to be among them (Vitter's algorithm R).
    """

    __slots__ = ("_seen", "values")

    def __init__(self) -> None:
        self.values: list[float] = []
        self._seen = 0

    def add(self, value: float) -> None:
        """Take a value, or leave it."""
        self._seen += 1
        if self._seen <= MAX_GAPS:
            self.values.append(value)
        elif (place := int(random() * self._seen)) < MAX_GAPS:  # noqa: S311 - no secret
            self.values[place] = value


class Measure:
    """One instrument with a bound on the sets of attributes that it ever gets.

    Args:
        record: Takes a value and attributes.
        keys: The attributes' names; those without a value are left out.
        fixed: What all have.
    """

    def __init__(
        self,
        record: Callable[[float, Attributes, Context], object],
        keys: Sequence[str],
        fixed: Attributes | None = None,
    ) -> None:
        self._record = record
        self._keys = tuple(keys)
        self._fixed = fixed or {}
        self._series = Series(len(self._keys))
        self._made: dict[Labels, Attributes] = {}

    def add(self, value: float, labels: Labels = ()) -> None:
        """Record a value."""
        self._record(value, self.attributes(labels), NOWHERE)

    def attributes(self, labels: Labels) -> Attributes:
        """What these labels stand for, made once."""
        labels = self._series.admit(labels)
        made = self._made.get(labels)
        if made is None:
            pairs = zip(self._keys, labels, strict=True)
            made = self._made[labels] = self._fixed | {key: value for key, value in pairs if value}
        return made


class Instruments:
    """All of them, made from one meter."""

    def __init__(self, meter: Meter) -> None:
        self._pending: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._sampled: defaultdict[tuple[str, str], Sample] = defaultdict(Sample)

        def histogram(
            name: str, unit: str, what: str, bounds: Sequence[float], keys: Sequence[str], of: str
        ) -> Measure:
            made = meter.create_histogram(
                name, unit, what, explicit_bucket_boundaries_advisory=bounds
            )
            return Measure(made.record, keys, {names.OPERATION: of})

        def seconds(name: str, what: str, keys: Sequence[str], of: str = names.CHAT) -> Measure:
            bounds = names.AGENT_SECONDS if of == names.INVOKE_AGENT else names.SECONDS
            return histogram(name, "s", what, bounds, keys, of)

        error = names.ERROR_TYPE
        called = (*MODEL, names.RESPONSE_MODEL, error)
        self._duration = seconds(names.OPERATION_DURATION, "How long model calls took.", called)
        first = "From the request to the first content."
        self._first = seconds(names.FIRST_CHUNK, first, called[:3])
        gaps = "Between contents; what came in one read counts once."
        self._gaps = seconds(names.OUTPUT_CHUNK, gaps, called[:2])
        tokens = (*called[:3], names.TOKEN_TYPE)
        used = ("{token}", "Tokens that model calls used.", names.TOKENS)
        self._tokens = histogram(names.TOKEN_USAGE, *used, tokens, names.CHAT)
        agents = (names.AGENT_NAME, error)
        took = "How long agents took, sub-agents too."
        self._agents = seconds(names.AGENT_DURATION, took, agents, names.INVOKE_AGENT)
        tools = (names.TOOL_NAME, error)
        took = "How long tools took."
        self._tools = seconds(names.TOOL_DURATION, took, tools, names.EXECUTE_TOOL)
        counter = meter.create_counter
        self._live: Counter[str] = Counter()
        self._named = Series(1)
        meter.create_observable_up_down_counter(
            names.RUNS_LIVE, [self._observe], "{run}", "Runs that go on."
        )
        again = counter(names.RETRIES, "{retry}", "Models that were asked again.")
        self._retries = Measure(again.add, (*MODEL, names.WARNING_CODE))
        withdrawn = counter(names.RETRACTS, "{retract}", "Shown text that was withdrawn.")
        self._retracts = Measure(withdrawn.add, (*MODEL, names.REASON))

    def begin(self, agent_name: str) -> None:
        """A run begins."""
        self._live[self._named.admit((agent_name,))[0]] += 1

    def call(self, call: ModelCall) -> None:
        """A model call ended; its `gaps` are a `Sample`."""
        self._later(self._record_call, call)

    def tool(self, tool: ToolCall) -> None:
        """A tool ended."""
        self._later(self._tools.add, tool.seconds, (tool.name, tool.error))

    def agent(self, agent: AgentCall) -> None:
        """A sub-agent ended."""
        self._later(self._agents.add, agent.seconds, (agent.name, agent.error))

    def run(self, agent_name: str, end: RunEnded | None) -> None:
        """A run ended, or goes on where it is not seen."""
        self._live[self._named.admit((agent_name,))[0]] -= 1
        if end is not None:
            error = end.reason if end.status == "error" else ""
            self._later(self._agents.add, end.metrics.duration_ms / 1e3, (agent_name, error))

    def retry(self, model: tuple[str, str], code: str) -> None:
        """A model was asked again."""
        self._later(self._retries.add, 1, (*model, code))

    def retract(self, model: tuple[str, str], reason: str) -> None:
        """Text was withdrawn."""
        self._later(self._retracts.add, 1, (*model, reason))

    def flush(self) -> None:
        """Record what was put aside; from any thread."""
        pending = self._pending
        while pending:
            try:
                record, what = pending.popleft()
            except IndexError:  # another thread was faster
                break
            record(*what)
        sampled, self._sampled = self._sampled, defaultdict(Sample)
        for model, sample in sampled.items():
            for gap in sample.values:
                self._gaps.add(gap, model)

    def _later(self, record: Callable[..., None], *what: object) -> None:
        self._pending.append((record, what))
        if len(self._pending) >= MAX_PENDING:
            self.flush()

    def _record_call(self, call: ModelCall) -> None:
        model = labels_of(call.provider, call.model)
        if isinstance(call.gaps, Sample):
            sample = self._sampled[model]
            for gap in call.gaps.values:
                sample.add(gap)
        labels = (*model, answered_by(call))
        self._duration.add(call.seconds, (*labels, call.error))
        if call.first is not None:
            self._first.add(call.first, labels)
        if call.usage.exact:  # what is estimated must not be reported (gen-ai-metrics.md)
            self._tokens.add(call.usage.input, (*labels, "input"))
            self._tokens.add(call.usage.output, (*labels, "output"))

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        self.flush()  # metrics are being collected
        return [Observation(n, {names.AGENT_NAME: name}) for name, n in self._live.items()]


def answered_by(call: ModelCall) -> str:
    """The model that answered, where the one that was asked is a fallback over several."""
    return call.model if call.answered else ""


@lru_cache(maxsize=256)
def labels_of(provider: str, model: str) -> tuple[str, str]:
    """Labels of `MODEL`, with the conventions' word for the provider."""
    return (names.PROVIDERS.get(provider, provider), model)
