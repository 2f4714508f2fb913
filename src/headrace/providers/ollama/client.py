"""`Ollama`: a model that an Ollama server runs."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Literal

from headrace.errors import UsageError
from headrace.models.deadlines import Deadlines
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.providers.failures import Failures
from headrace.providers.features import asked_by
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.json_text import encode_json
from headrace.providers.ollama.decode import OllamaDecoder
from headrace.providers.ollama.encode import LACKS, encode_chat, encode_generate
from headrace.providers.secret import Secret

_ENCODERS = {"chat": encode_chat, "generate": encode_generate}


class Ollama(BaseModel):
    """A model of an Ollama server, by Ollama's own API.

    Args:
        model: The model's name, as ``llama3.2`` or ``qwen3:4b``.
        endpoint: ``chat``, or ``generate`` for one prompt without a conversation; with the latter
            ``raw`` and ``suffix`` may go into the option `extra`.
        provider: Who, for names and errors.
        base_url: The server's address; an ``/v1`` at its end, which other clients need, is dropped.
        api_key: The key, or None for a server that needs none.
        key_variable: The environment variable that errors name for the key.
        headers: Sent with each request, besides the client's own.
        deadlines: How long to wait for what.
        retry: When to ask again before the first content.
        options: What every request takes where it says nothing itself.

    Raises:
        ConfigurationError: for an address or a key that cannot be one.
        UsageError: for an endpoint that there is not.
    """

    def __init__(
        self,
        model: str,
        *,
        endpoint: Literal["chat", "generate"] = "chat",
        provider: str = "ollama",
        base_url: str = "http://127.0.0.1:11434",
        api_key: str | Secret | None = None,
        key_variable: str = "OLLAMA_API_KEY",
        headers: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(provider, model, deadlines=deadlines, retry=retry, options=options)
        if endpoint not in _ENCODERS:
            raise UsageError(f"Ollama's endpoint is “chat” or “generate”, not {endpoint!r}.")
        self.endpoint = endpoint
        # A format keeps a model from calling tools (ollama/ollama, issue 11185).
        lacks = LACKS if endpoint == "chat" else LACKS | {"tools"}
        self.features = asked_by(lacks, schema_and_tools=False)
        self.continues = endpoint == "chat"
        key = Secret(api_key.strip()) if isinstance(api_key, str) else api_key
        self._failures = Failures(provider, key, key_variable=key_variable)
        self._endpoint = Endpoint(
            base_url.strip().rstrip("/").removesuffix("/v1"),
            self._failures,
            key=key,
            headers={"Accept": "application/x-ndjson", **(headers or {})},
        )

    async def open(self, request: ModelRequest) -> HttpAttempt:
        """Send the request; returns when the server has begun to stream.

        Raises:
            ProviderError: when it did not.
            StreamingUnsupported: when it answered whole instead.
            UsageError: for a request that this wire cannot carry.
        """
        body = encode_json(_ENCODERS[self.endpoint](request, self.model, provider=self.provider))
        response = await self._endpoint.post(f"/api/{self.endpoint}", body, self.deadlines.connect)
        return HttpAttempt(response, self.decoder())

    def decoder(self) -> OllamaDecoder:
        """A fresh decoder for one answer."""
        # Ids are made unique across turns too, not only within one.
        return OllamaDecoder(self._failures, id_prefix=f"call_{token_hex(4)}")
