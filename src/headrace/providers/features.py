"""What a request may ask for and a provider may lack: data, and the check before any request."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.errors import UsageError
from headrace.messages import File, Image
from headrace.models.request import ModelRequest

FEATURES: dict[str, str] = {
    "tools": "tools",
    "tool_choice": "forced tool_choice",
    "images": "images",
    "files": "files",
    "json": "response_format “json_object”",
    "schema": "JSON Schema as response_format",
    "reasoning": "reasoning to show",
    "effort": "reasoning_effort",
    "seed": "seed",
    "stop": "stop",
}
"""Each feature with the words for it. `reasoning` is no wish, but whether its text is shown."""


def refuse(request: ModelRequest, lacks: frozenset[str], provider: str) -> None:
    """Refuse a request for something that the provider lacks.

    What goes into ``extra`` is not looked at: it is the way around, for a model or a version of
    the server that can do it.

    Raises:
        UsageError: naming the provider and the feature.
    """
    for feature in asked(request):
        if feature in lacks:
            raise UsageError(
                f"{provider or 'This provider'} takes no {FEATURES[feature]}.",
                hint="Leave it out, take another provider, or pass the provider's own in extra.",
            )


def asked(request: ModelRequest) -> Iterator[str]:
    """The features that a request asks for."""
    options = request.options
    parts = [part for message in request.messages for part in message.content]
    wishes = {
        "tools": bool(request.tools),
        "tool_choice": bool(request.tools) and options.tool_choice not in (None, "auto", "none"),
        "images": any(isinstance(part, Image) for part in parts),
        "files": any(isinstance(part, File) and not is_sound(part) for part in parts),
        "json": format_of(options.response_format) == "json",
        "schema": format_of(options.response_format) == "schema",
        "effort": options.reasoning_effort is not None,
        "seed": options.seed is not None,
        "stop": bool(options.stop),
    }
    return (feature for feature, wished in wishes.items() if wished)


def is_sound(file: File) -> bool:
    """Whether a file is a sound, which goes another way than documents."""
    return file.media_type.startswith("audio/")


def format_of(given: object) -> str:
    """What a `response_format` asks for: ``json``, ``schema``, or nothing."""
    kind = given.get("type") if isinstance(given, dict) else given
    if given is None or kind == "text":
        return ""
    return "json" if kind == "json_object" else "schema"


def schema_of(given: dict[str, object]) -> object:
    """The JSON Schema itself, in a `response_format` that is one or holds one."""
    wrapped = given.get("json_schema")
    inner = wrapped if isinstance(wrapped, dict) else given
    return inner.get("schema", inner)


def asked_by(
    lacks: frozenset[str], *, schema_and_tools: bool, open_schema: bool = True
) -> frozenset[str]:
    """`BaseModel.features` of a provider.

    Args:
        lacks: What it lacks, of `FEATURES`.
        schema_and_tools: Whether one request may have a JSON Schema and tools.
        open_schema: Whether the schema may have objects of any properties, and hold itself.
    """
    features = frozenset({"tools", "tool_choice", "schema"}) - lacks
    if "schema" in features:
        features |= {"schema+tools"} if schema_and_tools else set()
        features |= {"open schema"} if open_schema else set()
    return features
