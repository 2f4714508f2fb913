"""`Anthropic`: a model behind the Messages API, Anthropic's own or a server that speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from urllib.parse import urlsplit

from headrace.models.deadlines import Deadlines
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.providers.anthropic.decode import AnthropicDecoder
from headrace.providers.anthropic.encode import LACKS, encode
from headrace.providers.anthropic.reasoning import is_older
from headrace.providers.failures import Failures
from headrace.providers.features import asked_by
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.json_text import encode_json
from headrace.providers.secret import Secret

VERSION = "2023-06-01"
"""The version of the API that the decoder knows (API reference, "Versions")."""


class Anthropic(BaseModel):
    """A model of Anthropic, or of any server that speaks its Messages API.

    Args:
        model: The server's name of the model; empty where it has only one.
        provider: Who, for names and errors; opaque items go back to whom they came from.
        base_url: The API's address, with ``/v1`` or without; a query in it is kept.
        api_key: The key, or None for servers that need none.
        key_variable: The environment variable that errors name for the key.
        headers: Sent with each request, besides the client's own, such as ``anthropic-beta``.
        deadlines: How long to wait for what.
        retry: When to ask again before the first content.
        options: What every request takes where it says nothing itself.

    Raises:
        ConfigurationError: for an address or a key that cannot be one.
    """

    def __init__(
        self,
        model: str = "",
        *,
        provider: str = "anthropic",
        base_url: str = "https://api.anthropic.com",
        api_key: str | Secret | None = None,
        key_variable: str = "ANTHROPIC_API_KEY",
        headers: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(provider, model, deadlines=deadlines, retry=retry, options=options)
        self.features = asked_by(LACKS, schema_and_tools=True, open_schema=False)
        key = Secret(api_key.strip()) if isinstance(api_key, str) else api_key
        self._failures = Failures(provider, key, key_variable=key_variable)
        self._endpoint = Endpoint(
            base_url,
            self._failures,
            key=key,
            key_header="x-api-key",
            headers={"anthropic-version": VERSION, **(headers or {})},
        )
        self.continues = is_older(model)
        versioned = urlsplit(base_url.strip()).path.rstrip("/").endswith("/v1")
        self._path = "/messages" if versioned else "/v1/messages"

    async def open(self, request: ModelRequest) -> HttpAttempt:
        """Send the request; returns when the server has begun to stream.

        Raises:
            ProviderError: when it did not.
            StreamingUnsupported: when it answered whole instead.
            UsageError: for a request that this wire cannot carry.
        """
        body = encode_json(encode(request, self.model, provider=self.provider))
        response = await self._endpoint.post(self._path, body, self.deadlines.connect)
        return HttpAttempt(response, self.decoder())

    def decoder(self) -> AnthropicDecoder:
        """A fresh decoder for one answer."""
        # Ids that the server leaves out are made unique across turns too, not only within one.
        return AnthropicDecoder(self._failures, id_prefix=f"toolu_{token_hex(4)}")
