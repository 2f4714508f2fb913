"""Headrace: an LLM agent's stream from any model to every screen.

The names here are the ones that most programs need; everything else is found by its module:
events in `headrace.events`, errors in `headrace.errors`, models in `headrace.models`, operators
in `headrace.views.operators`, test doubles in `headrace.testing`.

Each name is loaded when it is first asked for, so that `import headrace` costs a program nothing
that it does not use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.agents.agent import Agent
    from headrace.agents.conversational import ConversationalAgent
    from headrace.agents.network import Network
    from headrace.agents.react import ReActAgent
    from headrace.errors import HeadraceError, RunCancelled, RunFailed, ToolError
    from headrace.messages import File, Image, Message, Text
    from headrace.models.chunk import StreamChunk
    from headrace.models.deadlines import Deadlines
    from headrace.models.request import ModelRequest
    from headrace.models.retry import RetryPolicy
    from headrace.providers.fallback import fallback
    from headrace.providers.table import resolve_model
    from headrace.runs.fold import fold
    from headrace.runs.response import Response
    from headrace.runs.run import Run
    from headrace.runtime.runtime import Runtime
    from headrace.tools.context import RunContext
    from headrace.tools.tool import tool
    from headrace.usage import Metrics, Usage
    from headrace.views.channel import Channel
    from headrace.views.dispatcher import EventDispatcher

__version__ = "0.1.0"

_HOMES = {
    "Agent": "headrace.agents.agent",
    "Channel": "headrace.views.channel",
    "ConversationalAgent": "headrace.agents.conversational",
    "Deadlines": "headrace.models.deadlines",
    "EventDispatcher": "headrace.views.dispatcher",
    "fallback": "headrace.providers.fallback",
    "File": "headrace.messages",
    "fold": "headrace.runs.fold",
    "HeadraceError": "headrace.errors",
    "Image": "headrace.messages",
    "Message": "headrace.messages",
    "Metrics": "headrace.usage",
    "ModelRequest": "headrace.models.request",
    "Network": "headrace.agents.network",
    "ReActAgent": "headrace.agents.react",
    "resolve_model": "headrace.providers.table",
    "Response": "headrace.runs.response",
    "RetryPolicy": "headrace.models.retry",
    "Run": "headrace.runs.run",
    "RunCancelled": "headrace.errors",
    "RunContext": "headrace.tools.context",
    "RunFailed": "headrace.errors",
    "Runtime": "headrace.runtime.runtime",
    "StreamChunk": "headrace.models.chunk",
    "Text": "headrace.messages",
    "tool": "headrace.tools.tool",
    "ToolError": "headrace.errors",
    "Usage": "headrace.usage",
}

__all__ = [
    "Agent",
    "Channel",
    "ConversationalAgent",
    "Deadlines",
    "EventDispatcher",
    "File",
    "HeadraceError",
    "Image",
    "Message",
    "Metrics",
    "ModelRequest",
    "Network",
    "ReActAgent",
    "Response",
    "RetryPolicy",
    "Run",
    "RunCancelled",
    "RunContext",
    "RunFailed",
    "Runtime",
    "StreamChunk",
    "Text",
    "ToolError",
    "Usage",
    "fallback",
    "fold",
    "resolve_model",
    "tool",
]


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
