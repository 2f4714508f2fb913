"""What the server says of itself when it begins."""

from __future__ import annotations

from headrace.server.service import Service


def banner(service: Service, address: str, why: str = "") -> str:
    """A few lines: who answers and why, where runs are kept, where to look.

    Args:
        service: The server.
        address: Its own, as ``http://127.0.0.1:8080``.
        why: Why the default agent's model is this one.
    """
    settings = service.settings
    lines = ["Headrace", ""]
    for nth, agent in enumerate(service.agents.values()):
        reason = f" ({why})" if why and not nth else ""
        lines.append(
            _line("agent" if not nth else "", f"{agent.name} on {agent.model.name}{reason}")
        )
    who = f"{len(service.users)} with tokens" if service.users else "anyone on this machine"
    lines += [
        _line("store", str(service.runtime.store)),
        _line("users", who),
        _line("limits", f"{settings.live_runs} live runs, {settings.new_runs} a minute, each user"),
        _line("address", address),
        "",
        f"  {address}/                the chat page",
        f"  {address}/dashboard       live runs, and how they do",
        f"  {address}/openapi.json    every route",
        "",
        f'  headrace send {address} "What is 123*456?"',
        f'  curl -N {address}/chat/stream -d \'{{"message": "What is 123*456?"}}\'',
        "",
        "Ctrl-C stops it: live runs get time to end, the rest goes on when it starts again.",
    ]
    return "\n".join(lines)


def _line(what: str, value: str) -> str:
    return f"  {what:8} {value}"
