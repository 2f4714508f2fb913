"""Makes a Gemini request: pure, a `ModelRequest` to the body.

Source: the Gemini API's reference, "models.streamGenerateContent" and "GenerationConfig".
"""

from __future__ import annotations

from typing import Any

from headrace.errors import UsageError
from headrace.models.request import ModelRequest, Options, ToolSpec
from headrace.providers.features import format_of, schema_of
from headrace.providers.gemini.contents import contents
from headrace.providers.gemini.thinking import is_gemini_3, thinking_config

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_CONFIG = "generationConfig"


def encode(request: ModelRequest, model: str, *, provider: str = "gemini") -> dict[str, Any]:
    """The request's body.

    Args:
        request: Messages, tools and options; ``options.extra`` wins over all else, and its
            ``generationConfig`` field by field.
        model: The model's name; how thinking is asked for depends on it.
        provider: Whose opaque items go back.

    Raises:
        UsageError: for a part or an option that this wire cannot carry.
    """
    options = request.options
    body: dict[str, Any] = {
        "contents": contents(request.messages, provider, sign=is_gemini_3(model))
    }
    system = [m.text for m in request.messages if m.role == "system" and m.text]
    if system:
        body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
        if options.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _tool_choice(options.tool_choice)}
    config = _config(options, model)
    given = options.extra.get(_CONFIG, {})
    body.update(options.extra)
    if config and isinstance(given, dict):
        body[_CONFIG] = {**config, **given}
    return body


def _config(options: Options, model: str) -> dict[str, Any]:
    values = {
        "temperature": options.temperature,
        "maxOutputTokens": options.max_tokens,
        "topP": options.top_p,
        "stopSequences": list(options.stop) or None,
        "seed": options.seed,
        "thinkingConfig": thinking_config(model, options.reasoning_effort),
        **_response_format(options.response_format),
    }
    return {name: value for name, value in values.items() if value is not None}


def _response_format(given: str | dict[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return {}
    wanted = format_of(given)
    if wanted != "schema":
        return {"responseMimeType": "application/json" if wanted else "text/plain"}
    if isinstance(given, str):
        raise UsageError(
            f"Gemini has no response_format {given!r}.",
            hint="Give json_object, text or a JSON Schema.",
        )
    return {"responseMimeType": "application/json", "responseJsonSchema": schema_of(given)}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parametersJsonSchema": tool.parameters,
    }


def _tool_choice(choice: str) -> dict[str, Any]:
    if choice in _MODES:
        return {"mode": _MODES[choice]}
    return {"mode": "ANY", "allowedFunctionNames": [choice]}
