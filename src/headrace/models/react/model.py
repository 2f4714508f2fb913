"""A model without tool calling, made one that calls tools."""

from __future__ import annotations

from secrets import token_hex

from headrace.errors import ProviderError, RequestRejected, UsageError
from headrace.models.deltas import Delta, Failure, Note
from headrace.models.model import Model
from headrace.models.react.prompt import in_form
from headrace.models.react.reader import UNREADABLE, ReActReader
from headrace.models.request import ModelRequest
from headrace.models.stream import ModelStream
from headrace.models.wrapped import WrappedAttempt, WrappedModel


class ReActModel(WrappedModel):
    """Asks another model in ReAct's form and reads what it says as thoughts, calls and answers.

    Args:
        model: The other model; it is sent text only, and no tools.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._stops = True
        self._ids = f"call_{token_hex(4)}"

    @property
    def features(self) -> frozenset[str]:  # type: ignore[override]  # as in WrappedModel
        """Tools; a call can be asked for, but nothing forces it."""
        return frozenset({"tools"})

    def rewrite(self, request: ModelRequest) -> ModelRequest:
        """The request as text.

        Raises:
            UsageError: it asks for a `response_format`.
        """
        return in_form(request, stop=self._stops)

    def reader(self, request: ModelRequest) -> ReActReader:
        """A fresh reader; the id of its call is another in each turn of a conversation."""
        said = [message for message in request.messages if message.role == "assistant"]
        told = bool(said) and any(call.name == UNREADABLE for call in said[-1].tool_calls)
        tools = () if request.options.tool_choice == "none" else request.tools
        return ReActReader(tools, f"{self._ids}_{len(said) + 1}", told=told)

    async def open(self, request: ModelRequest) -> WrappedAttempt:
        """Ask the other model."""
        stream = self.wrapped.stream(self.rewrite(request))
        if not self._stops or request.options.stop:  # the caller's own are not taken away
            return WrappedAttempt(self, stream, self.reader(request))
        return _MayRefuseStop(self, stream, request)

    def without_stop(self, request: ModelRequest) -> ModelStream:
        """Ask again, and from now on, without a stop text of our own."""
        self._stops = False
        return self.wrapped.stream(self.rewrite(request))


class _MayRefuseStop(WrappedAttempt):
    """Asks once more where a provider or model takes no stop texts, as OpenAI's newer ones do.

    https://platform.openai.com/docs/api-reference/chat/create: `stop` is "not supported with
    latest reasoning models"; the Responses API has no such field.
    """

    def __init__(self, model: ReActModel, stream: ModelStream, request: ModelRequest) -> None:
        super().__init__(model, stream, model.reader(request))
        self._react = model
        self._request = request
        self._begun = False

    async def read(self) -> list[Delta]:
        """The next deltas."""
        try:
            batch = await super().read()
        except UsageError as error:
            if not self._about_stop(error):
                raise
        else:
            last = batch[-1] if batch else None
            if not (isinstance(last, Failure) and self._about_stop(last.error)):
                told = bool(batch) and all(isinstance(delta, Note) for delta in batch)
                self._begun = self._begun or not told  # a retry is announced before it is made
                return batch
        await self._stream.aclose()
        self._begun = True
        self._stream = self._react.without_stop(self._request)
        self._reader = self._react.reader(self._request)
        return []

    def _about_stop(self, error: UsageError | ProviderError) -> bool:
        refused = isinstance(error, UsageError | RequestRejected)
        return refused and not self._begun and "stop" in error.message.lower()
