"""`AzureOpenAI`: Chat Completions as Azure serves them, by deployments.

Source: learn.microsoft.com, "Azure OpenAI in Microsoft Foundry Models REST API reference" and
"API version lifecycle".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from headrace.errors import ConfigurationError
from headrace.providers.bearer import TokenSource
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.openai_chat.dialect import OPENAI, Dialect
from headrace.providers.secret import Secret


class AzureOpenAI(OpenAIChat):
    """A deployment of Azure OpenAI.

    Args:
        model: The deployment's name.
        base_url: The resource's endpoint, as ``https://NAME.openai.azure.com``.
        api_version: As ``2024-10-21``: then the deployment stands in the URL. Without one, Azure's
            v1 API is asked, which needs none.
        api_key: The resource's key, sent as ``api-key``.
        token: Gives a Microsoft Entra token, sent as a bearer's; a function, async or not, that is
            called before each request. It stands in for a key.
        provider: Who, for names and errors.
        dialect: What the server does differently.
        settings: Further arguments of `OpenAIChat`.

    Raises:
        ConfigurationError: without an endpoint, or with both a key and a token.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_version: str = "",
        api_key: str | Secret | None = None,
        token: TokenSource | None = None,
        provider: str = "azure",
        dialect: Dialect = OPENAI,
        **settings: Any,
    ) -> None:
        if token is not None and api_key:
            raise ConfigurationError(
                f"{provider}: both a key and a token are given.", hint="Give one of the two."
            )
        self.api_version = api_version.strip()
        super().__init__(
            model,
            provider=provider,
            base_url=_url(base_url.strip(), model, self.api_version, provider),
            api_key=api_key,
            key_header="api-key",
            token=token,
            dialect=dialect,
            **settings,
        )


def _url(endpoint: str, model: str, api_version: str, provider: str) -> str:
    """Where the deployment answers, whether or not the endpoint names the API already."""
    if not endpoint:
        raise ConfigurationError(
            f"{provider}: no endpoint is named.",
            hint="Set AZURE_OPENAI_ENDPOINT, as https://NAME.openai.azure.com.",
        )
    root = endpoint.rstrip("/")
    if not api_version:
        return root if root.endswith("/openai/v1") else f"{root.removesuffix('/openai')}/openai/v1"
    query = urlencode({"api-version": api_version})
    root = root.removesuffix("/openai/v1").removesuffix("/openai")
    return f"{root}/openai/deployments/{quote(model, safe='')}?{query}"
