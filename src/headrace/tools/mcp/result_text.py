"""What a server's tool gave back, as text for the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import mcp_types as types

from headrace.errors import ToolError
from headrace.tools.output import as_text


def result_text(result: types.CallToolResult) -> str:
    """Texts joined by line ends; the rest named; the structured content, unless a text says it.

    Raises:
        ToolError: the server says that the tool failed.
    """
    parts = [_part(block) for block in result.content]
    texts = [block.text for block in result.content if isinstance(block, types.TextContent)]
    if result.structured_content is not None and not _says(texts, result.structured_content):
        parts.append(as_text(result.structured_content))
    text = "\n".join(part for part in parts if part)
    if result.is_error:
        raise ToolError(text or "The tool failed and did not say why.")
    return text


def progress_text(progress: float, total: float | None, message: str | None) -> str:
    """One notice of progress: ``reading (3/10)``, ``reading``, ``3/10`` or ``3``."""
    count = f"{progress:g}" if total is None else f"{progress:g}/{total:g}"
    if not message:
        return count
    return message if total is None else f"{message} ({count})"


def _part(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent():
            return block.text
        case types.ImageContent() | types.AudioContent():
            return f"[{block.type}: {block.mime_type}, {_size(block.data)} bytes]"
        case types.ResourceLink():
            about = f", {block.mime_type}" if block.mime_type else ""
            return f"[resource: {block.uri}, {block.name}{about}]"
        case types.EmbeddedResource():
            return _resource(block.resource)


def _resource(resource: types.TextResourceContents | types.BlobResourceContents) -> str:
    if isinstance(resource, types.TextResourceContents):
        return f"[resource: {resource.uri}]\n{resource.text}"
    about = f", {resource.mime_type}" if resource.mime_type else ""
    return f"[resource: {resource.uri}{about}, {_size(resource.blob)} bytes]"


def _size(base64: str) -> int:
    return len(base64.rstrip("=")) * 3 // 4


def _says(texts: Sequence[str], structured: Any) -> bool:
    """Whether the texts are the structured content over again.

    A server should send it as text too (specification 2025-11-25, Structured Content); the SDK's
    sends a lone value bare, and a list in one text for each of its items.
    """
    if not texts:
        return False
    values = [_value(text) for text in texts]
    wanted = [structured]
    if isinstance(structured, dict) and list(structured) == ["result"]:
        wanted.append(structured["result"])
    return any(each == value for each in wanted for value in (values[0], values, texts[0], texts))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
