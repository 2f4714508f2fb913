"""The diagnosis: measured values in, findings out. Pure."""

from __future__ import annotations

from statistics import median
from typing import Literal

from msgspec import Struct

from headrace.frontends.doctor_measured import Examined, Probe, Way
from headrace.frontends.doctor_remedies import Fault, proxies, remedies
from headrace.frontends.summary import milliseconds

KEEP_ALIVE = 15.0
"""Seconds of silence after which a Headrace server sends a comment."""
SLOW = 1.0
"""Seconds to the first byte from which on it is mentioned."""

Mark = Literal["ok", "note", "warning", "fault"]


class Finding(Struct, frozen=True):
    """One line of the report.

    Attributes:
        what: What was looked at.
        mark: ``fault`` makes the exit code 1; ``warning`` works, but not as well as it could.
        text: What was found.
        change: Proxy and line of configuration, where there is something to change.
    """

    what: str
    mark: Mark
    text: str
    change: tuple[tuple[str, str], ...] = ()


def diagnose(seen: Examined) -> list[Finding]:
    """What the measured values mean, in the order in which a person wants to know."""
    findings = [_server(seen)]
    if isinstance(seen.health, str):
        return findings
    way = seen.small.way if isinstance(seen.small, Probe) else Way()
    here = proxies(way)
    findings += _first_byte(seen.small)
    findings.append(_timely("streaming", seen.small, here))
    findings.append(_timely("large events", seen.large, here))
    findings += _hint(seen)
    findings.append(_compression(seen, here))
    findings.append(_idle(seen.idle, here))
    findings.append(_http(seen, way, here))
    findings.append(_proxies(way, here))
    return findings


def _server(seen: Examined) -> Finding:
    if isinstance(seen.health, str):
        return Finding("server", "fault", seen.health)
    text = f"{seen.url} answers in {_ms(seen.health.after)}"
    if seen.health.status != "ok":
        text = f"{text} and says it is {seen.health.status}: it takes no new runs"
        return Finding("server", "warning", text)
    return Finding("server", "ok", f"{text} and is healthy")


def _first_byte(small: Probe | str) -> list[Finding]:
    if isinstance(small, str) or not small.arrivals:
        return []
    slow = small.head_after >= SLOW
    return [Finding("first byte", "warning" if slow else "ok", f"after {_ms(small.head_after)}")]


def _timely(what: str, probe: Probe | str, here: list[str]) -> Finding:
    """Whether frames come when they are sent."""
    if isinstance(probe, str):
        return Finding(what, "fault", probe)
    if not probe.whole:
        return Finding(what, "fault", _cut(probe))
    count, late = len(probe.arrivals), probe.late
    if probe.held == "all":
        span = _ms(late[0])
        text = f"held back until the end: {count} frames came at once, the first {span} late"
        return _changed(what, text, "buffering", here)
    if probe.held == "some":
        text = f"held back: frames wait for others, {_ms(median(late))} each"
        return _changed(what, text, "buffering", here)
    return Finding(what, "ok", f"{count} frames, each within {_ms(max(late))} of its time")


def _hint(seen: Examined) -> list[Finding]:
    """Whether it is only by Headrace's word that nothing is held."""
    large, unasked = seen.large, seen.unasked
    if isinstance(large, str) or isinstance(unasked, str):
        return []
    if large.held == "no" and unasked.whole and unasked.held != "no":
        text = "a proxy would buffer, and does not as the stream says x-accel-buffering: no"
        return [Finding("buffering", "note", text)]
    return []


def _compression(seen: Examined, here: list[str]) -> Finding:
    what, packed = "compression", seen.packed
    if isinstance(packed, str):
        return Finding(what, "fault", packed)
    if not packed.encoding:
        return Finding(what, "ok", "none")
    if not packed.whole:
        return _changed(what, f"{packed.encoding}; {_cut(packed)}", "compression", here)
    if packed.held == "no":
        text = f"{packed.encoding}, though the stream says no-transform; its frames are in time"
        return _changed(what, text, "compression", here, "warning")
    text = f"{packed.encoding}, and frames are held back: up to {_ms(max(packed.late))} late"
    change = remedies("compression", here)
    if isinstance(seen.small, Probe) and seen.small.held == "no":
        # Plain frames pass: the compressor holds them, as a proxy that buffers does not tell it
        # to flush. Either line helps.
        change += remedies("buffering", here)
    return Finding(what, "fault", text, tuple(change))


def _idle(idle: Probe | str | None, here: list[str]) -> Finding:
    what = "silence"
    if idle is None:
        return Finding(what, "note", "not tried; --idle 60 does")
    if isinstance(idle, str):
        return Finding(what, "fault", idle)
    if idle.whole:
        return Finding(what, "ok", f"{idle.interval:g} s of it pass")
    if not idle.arrivals:
        return Finding(what, "fault", _cut(idle))
    lasted = idle.ended_after - idle.arrivals[0].arrived_at
    text = f"cut off after {lasted:.1f} s"
    if lasted <= KEEP_ALIVE:
        text += f"; a stream may be silent for {KEEP_ALIVE:g} s"
        return _changed(what, text, "idle", here)
    text += f"; a stream says something every {KEEP_ALIVE:g} s, and so goes on"
    return _changed(what, text, "idle", here, "warning")


def _http(seen: Examined, way: Way, here: list[str]) -> Finding:
    what = "http"
    if way.http_version == "1.0":
        text = "the server is spoken to in HTTP/1.0: streams pass, WebSockets do not"
        return _changed(what, text, "http10", here, "warning")
    version = way.http_version or "?"
    if seen.offers == "http/1.1":
        text = "browsers get HTTP/1.1, and so at most six streams at a time from one host"
        return _changed(what, text, "http1", here, "warning")
    offered = "browsers get HTTP/2; " if seen.offers == "h2" else ""
    return Finding(what, "ok", f"{offered}HTTP/{version} at the server")


def _proxies(way: Way, here: list[str]) -> Finding:
    names = [way.answer[name] for name in ("server", "via") if name in way.answer]
    names += [way.via] if way.via and way.via not in names else []
    others = [name for name in here if not any(name.lower() in said.lower() for said in names)]
    text = ", ".join([*names, *others]) if here else ""
    if not text:
        text = (
            "one or more that do not say who they are" if way.hops or way.request else "none seen"
        )
    if way.hops:
        text += f"; {way.hops} address{'es' if way.hops > 1 else ''} in X-Forwarded-For"
    return Finding("proxies", "note", text)


def _changed(what: str, text: str, fault: Fault, here: list[str], mark: Mark = "fault") -> Finding:
    return Finding(what, mark, text, tuple(remedies(fault, here)))


def _cut(probe: Probe) -> str:
    return (
        f"broken off after {len(probe.arrivals)} of {probe.asked} frames, "
        f"{probe.ended_after:.1f} s after the request"
    )


def _ms(seconds: float) -> str:
    return milliseconds(seconds * 1000)
