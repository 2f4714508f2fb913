"""`Gemini`: a model behind Google's own wire, the Gemini API."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex

from headrace.models.deadlines import Deadlines
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.providers.failures import Failures
from headrace.providers.features import asked_by
from headrace.providers.gemini.decode import GeminiDecoder
from headrace.providers.gemini.encode import encode
from headrace.providers.gemini.parts import MADE_UP
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.json_text import encode_json
from headrace.providers.secret import Secret


class Gemini(BaseModel):
    """A model of Google's Gemini API.

    Args:
        model: Its name, as ``gemini-3.8-flash``; ``tunedModels/…`` for a tuned one.
        provider: Who, for names and errors.
        base_url: The API's address, up to and with ``/v1beta``; a query in it is kept.
        api_key: The key, sent in a header and never in the URL.
        key_variable: The environment variable that errors name for the key.
        headers: Sent with each request, besides the client's own.
        deadlines: How long to wait for what.
        retry: When to ask again before the first content.
        options: What every request takes where it says nothing itself.

    Raises:
        ConfigurationError: for an address or a key that cannot be one.
    """

    def __init__(
        self,
        model: str = "gemini-3.8-flash",
        *,
        provider: str = "gemini",
        base_url: str = "https://generativelanguage.googleapis.com/v1beta",
        api_key: str | Secret | None = None,
        key_variable: str = "GEMINI_API_KEY",
        headers: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(provider, model, deadlines=deadlines, retry=retry, options=options)
        # Most models refuse function calling beside a response type (googleapis/python-genai,
        # issue 867).
        self.features = asked_by(frozenset(), schema_and_tools=False)
        key = Secret(api_key.strip()) if isinstance(api_key, str) else api_key
        base_url = base_url.strip()
        self._failures = Failures(provider, key, key_variable=key_variable)
        self._endpoint = Endpoint(
            f"{base_url}{'&' if '?' in base_url else '?'}alt=sse",  # else it sends one JSON array
            self._failures,
            key=key,
            key_header="x-goog-api-key",
            headers=headers,
        )

    async def open(self, request: ModelRequest) -> HttpAttempt:
        """Send the request; returns when the server has begun to stream.

        Raises:
            ProviderError: when it did not.
            StreamingUnsupported: when it answered whole instead.
            UsageError: for a request that this wire cannot carry.
        """
        body = encode_json(encode(request, self.model, provider=self.provider))
        name = self.model if "/" in self.model else f"models/{self.model}"
        path = f"/{name}:streamGenerateContent"
        response = await self._endpoint.post(path, body, self.deadlines.connect)
        return HttpAttempt(response, self.decoder())

    def decoder(self) -> GeminiDecoder:
        """A fresh decoder for one answer."""
        # Ids that the server leaves out are made unique across turns too, not only within one.
        return GeminiDecoder(self._failures, id_prefix=f"{MADE_UP}{token_hex(4)}")
