"""`OpenAIResponses`: a model behind the Responses wire, OpenAI's own or a compatible server's."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex

from headrace.models.deadlines import Deadlines
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.models.stream import Attempt
from headrace.providers.failures import Failures
from headrace.providers.features import asked_by
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.json_text import encode_json
from headrace.providers.openai_responses.background import BackgroundAttempt
from headrace.providers.openai_responses.decode import ResponsesDecoder
from headrace.providers.openai_responses.encode import LACKS, encode
from headrace.providers.secret import Secret


class OpenAIResponses(BaseModel):
    """A model of OpenAI over its Responses API, or of a server that speaks it too.

    Args:
        model: The server's name of the model; empty where it has only one.
        background: Whether the provider goes on with an answer when the connection breaks, so
            that it can be read on over another one. It must keep the answer then (OpenAI: for 30
            days); else it is asked to keep nothing.
        reconnects: How often an answer in the background is read on, at most.
        cancel_wait: Seconds in which the provider must have taken a cancel of such an answer;
            then nobody waits for it any more. The socket is closed before.
        provider: Who, for names and errors.
        base_url: The API's address, up to and with ``/v1``; a query in it is kept.
        api_key: The key, or None for servers that need none.
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
        model: str = "",
        *,
        background: bool = False,
        reconnects: int = 5,
        cancel_wait: float = 2.0,
        provider: str = "openai-responses",
        base_url: str = "https://api.openai.com/v1",
        api_key: str | Secret | None = None,
        key_variable: str = "OPENAI_API_KEY",
        headers: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(provider, model, deadlines=deadlines, retry=retry, options=options)
        self.features = asked_by(LACKS, schema_and_tools=True)
        key = Secret(api_key.strip()) if isinstance(api_key, str) else api_key
        self.background = background
        self.reconnects = RetryPolicy(reconnects, self.retry.base, self.retry.longest)
        self.cancel_wait = cancel_wait
        self._failures = Failures(provider, key, key_variable=key_variable)
        self._endpoint = Endpoint(base_url, self._failures, key=key, headers=headers)

    async def open(self, request: ModelRequest) -> Attempt:
        """Send the request; returns when the server has begun to stream.

        Raises:
            ProviderError: when it did not.
            StreamingUnsupported: when it answered whole instead.
            UsageError: for a request that this wire cannot carry.
        """
        made = encode(request, self.model, provider=self.provider, background=self.background)
        connect = self.deadlines.connect
        response = await self._endpoint.post("/responses", encode_json(made), connect)
        decoder = self.decoder()
        if not self.background:
            return HttpAttempt(response, decoder)
        return BackgroundAttempt(
            self._endpoint, response, decoder, self.reconnects, connect, self.cancel_wait
        )

    def decoder(self) -> ResponsesDecoder:
        """A fresh decoder for one answer."""
        # Ids that the server leaves out are made unique across turns too, not only within one.
        return ResponsesDecoder(self._failures, id_prefix=f"call_{token_hex(4)}")
