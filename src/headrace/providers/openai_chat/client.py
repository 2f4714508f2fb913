"""`OpenAIChat`: a model behind the Chat Completions wire, OpenAI's own or a compatible server's."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex

from headrace.models.deadlines import Deadlines
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import RetryPolicy
from headrace.providers.bearer import TokenSource
from headrace.providers.failures import Failures
from headrace.providers.features import asked_by
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.json_text import encode_json
from headrace.providers.openai_chat.decode import ChatDecoder
from headrace.providers.openai_chat.dialect import COMPATIBLE, Dialect
from headrace.providers.openai_chat.encode import encode
from headrace.providers.secret import Secret


class OpenAIChat(BaseModel):
    """A model of OpenAI, or of any server that is compatible with it.

    Args:
        model: The server's name of the model; empty where it has only one.
        provider: Who, for names and errors.
        base_url: The API's address, up to and with ``/v1``; a query in it is kept.
        api_key: The key, or None for servers that need none.
        key_variable: The environment variable that errors name for the key.
        key_header: The header that carries the key.
        token: Gives a bearer's token for each request, in place of a key.
        dialect: What the server does differently.
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
        provider: str = "openai",
        base_url: str = "https://api.openai.com/v1",
        api_key: str | Secret | None = None,
        key_variable: str = "",
        key_header: str = "Authorization",
        token: TokenSource | None = None,
        dialect: Dialect = COMPATIBLE,
        headers: Mapping[str, str] | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(provider, model, deadlines=deadlines, retry=retry, options=options)
        key = Secret(api_key.strip()) if isinstance(api_key, str) else api_key
        self.dialect = dialect
        self.continues, self.echoes = dialect.continues, dialect.echoes
        self.features = asked_by(dialect.lacks, schema_and_tools=dialect.schema_and_tools)
        self._failures = Failures(provider, key, key_variable=key_variable)
        self._endpoint = Endpoint(
            base_url,
            self._failures,
            key=key,
            key_header=key_header,
            headers=headers,
            token=token,
        )

    async def open(self, request: ModelRequest) -> HttpAttempt:
        """Send the request; returns when the server has begun to stream.

        Raises:
            ProviderError: when it did not.
            StreamingUnsupported: when it answered whole instead.
            UsageError: for a request that this wire cannot carry.
        """
        body = encode_json(encode(request, self.model, self.dialect, provider=self.provider))
        response = await self._endpoint.post("/chat/completions", body, self.deadlines.connect)
        return HttpAttempt(response, self.decoder())

    def decoder(self) -> ChatDecoder:
        """A fresh decoder for one answer."""
        # Ids that the server leaves out are made unique across turns too, not only within one.
        return ChatDecoder(self._failures, id_prefix=f"call_{token_hex(4)}")
