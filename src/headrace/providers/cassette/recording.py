"""Records what a model's provider sends: any model with a wire, wrapped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Literal

from yarl import URL

from headrace.errors import LineTooLong, UsageError
from headrace.models.deltas import Decoder, Delta, Note
from headrace.models.model import BaseModel, Model
from headrace.models.request import ModelRequest
from headrace.models.stream import Attempt
from headrace.providers.cassette.format import VERSION, End, Head, Header, Piece, heard, line
from headrace.providers.cassette.masking import LineMask, Masker, secret_values
from headrace.providers.cassette.recorder import Recorder
from headrace.providers.cassette.wires import wire_of
from headrace.providers.tap import current_tap


def recorded(
    model: Model, path: str | os.PathLike[str], *, keep_request: bool = False
) -> RecordedModel:
    """The same model, with all that its provider sends written to a cassette.

    Args:
        model: Any model of a provider's; not ``demo``, which has no wire.
        path: The cassette; one that is there is replaced with the first request, another file
            never.
        keep_request: Keep what was asked too, masked. Without it only a digest is kept.

    Raises:
        ConfigurationError: a place where no cassette can be written.
        UsageError: a model without a wire.
    """
    wire = wire_of(model)
    if wire is None or not isinstance(model, BaseModel):
        raise UsageError(
            f"{model.name} cannot be recorded: it has no provider's bytes.",
            hint="Record the model of a provider; headrace models lists them.",
        )
    clean = Masker([]).text
    header = Header(VERSION, clean(model.provider), wire, clean(model.model))
    return RecordedModel(model, Recorder(Path(path), header, keep_request=keep_request))


class RecordedModel(BaseModel):
    """A model whose answers are recorded.

    It answers as the inner model does; where recording fails, a `Note` says so and the answer goes
    on.

    Args:
        inner: The model.
        recorder: Where to.
    """

    def __init__(self, inner: BaseModel, recorder: Recorder) -> None:
        super().__init__(
            inner.provider,
            inner.model,
            deadlines=inner.deadlines,
            retry=inner.retry,
            options=inner.options,
        )
        self.continues, self.echoes = inner.continues, inner.echoes
        self.features = inner.features
        self.inner = inner
        self.recorder = recorder

    def decoder(self) -> Decoder:
        """The inner model's."""
        return self.inner.decoder()

    async def open(self, request: ModelRequest) -> Attempt:
        """Ask the inner model, with a tap on its wire.

        Raises:
            ProviderError: the inner model's; the refusal is recorded as well.
            UsageError: the inner model's.
        """
        recording = Recording(self.recorder, self.recorder.begin())
        token = current_tap.set(recording)
        try:
            attempt = await self.inner.open(request)
        except BaseException:
            recording.close()
            raise
        finally:
            current_tap.reset(token)
        return _RecordedAttempt(attempt, recording)


class _RecordedAttempt:
    def __init__(self, inner: Attempt, recording: Recording) -> None:
        self._inner = inner
        self._recording = recording
        self._recorder = recording.recorder
        self._told = False  # each answer tells it once

    async def read(self) -> list[Delta]:
        token = current_tap.set(self._recording)  # for clients that read on over a new connection
        try:
            batch = await self._inner.read()
        finally:
            current_tap.reset(token)
        trouble = self._recorder.trouble
        if not trouble or self._told:
            return batch
        self._told = True
        return [Note("recording_stopped", trouble), *batch]

    async def close(self) -> None:
        try:
            await self._inner.close()
        finally:
            self._recording.close()


class Recording:
    """The recording of one request: a `Tap`."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self.recorder = recorder
        self._number = number
        self._now = asyncio.get_running_loop().time
        self._start = self._now()
        self._secrets: set[str] = set()
        self._masker = Masker([])
        self._mask = LineMask(self._masker)
        self._digest = ""
        self._asked: str | None = None
        self._begun = False
        self._deaf = False  # to a refusal to go on, which is no part of the answer
        self._closed = False
        self._by: Literal["server", "client"] = "client"

    def asked(self, url: URL, headers: Mapping[str, str], body: bytes) -> None:
        """Note what was asked, and which secrets to look for in what comes back."""
        self._secrets.update(secret_values([*headers.items(), *url.query.items()]))
        self._masker = Masker(self._secrets)
        # A line that an earlier connection left unfinished is sent again by the next one.
        self._mask = LineMask(self._masker)
        if self._begun:
            return
        self._digest = f"sha256:{sha256(body).hexdigest()}"
        if self.recorder.keep_request:
            self._asked = self._masker.text(body.decode("utf-8", "replace"))

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the answer's head; where it goes on over a new connection, that of the first."""
        if self._begun:
            self._deaf = not 200 <= status < 300
            return
        self._begun = True
        self.recorder.answers += 1
        clean = self._masker.headers(headers)
        head = Head(self._number, self._ms(), status, clean, self._digest, self._asked)
        self.recorder.write(line(head))

    def took(self, data: bytes) -> None:
        """Write what may be written of these bytes."""
        if self._closed or self._deaf:
            return
        try:
            self._write(self._mask.take(self._ms(), data))
        except LineTooLong as error:
            self.recorder.stop(error.message.rstrip("."))

    def ended(self) -> None:
        """The server ended it."""
        self._by = "server"

    def close(self) -> None:
        """The answer is over for whoever asked: write its last line and its end."""
        if self._closed:
            return
        self._closed = True
        if self._begun:
            self._write(self._mask.close())
            self.recorder.write(line(End(self._number, self._ms(), self._by)))
        self.recorder.ended()

    def _write(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            for record in heard(self._number, piece.ms, piece.data):
                self.recorder.write(line(record))

    def _ms(self) -> float:
        return round((self._now() - self._start) * 1e3, 3)
