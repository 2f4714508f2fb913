"""An explanation in sentences that a person can act on. Pure.

What is told comes from the log alone. Where a cause cannot be known, the sentence names those that
there may be.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.telemetry.explain_timeline import Kind
from headrace.telemetry.explained import Explanation, Trouble

LABELS: dict[Kind, str] = {
    "queue": "queue",
    "waiting": "provider: waiting",
    "streaming": "provider: streaming",
    "lost": "provider: lost tries",
    "tools": "tools",
    "person": "a person",
    "interrupted": "no process",
    "store": "store",
    "headrace": "headrace",
}
"""What the parts of a run's time are called, in the order in which they are told."""

ALWAYS: tuple[Kind, ...] = ("queue", "waiting", "streaming", "tools", "store", "headrace")
"""Parts that are told where they are nothing, too."""

NOTABLE_US = 50_000
"""What takes less is in the table, and not worth a sentence."""

NOTABLE_SHARE = 0.1
"""The same for what is a smaller part of the whole."""

CACHEABLE = 1024
"""Tokens of a prompt from which on a provider may cache it: OpenAI's guide to prompt caching says
1,024; Anthropic's minimum is 512 to 4,096, by model."""

_FINISHED = {
    "stop": "the model said all that it had to say",
    "length": "the answer is cut: the model reached its limit of tokens. Raise max_tokens, or ask "
    "for less at once",
    "content_filter": "the provider withheld the rest of the answer. The same words will rarely "
    "bring more",
    "max_steps": "the agent was stopped at its bound of model calls. Look at what its tools "
    "answered, or raise max_steps",
    "tool_calls": "the model asked for tools, and was not asked again",
}

_NAMES: dict[Kind, str] = {
    "queue": "went by before it began",
    "waiting": "went to waiting for a model's first content",
    "streaming": "went to models' answers as they came",
    "lost": "went to tries that came to nothing",
    "tools": "went to tools",
    "person": "went to waiting for a person",
    "interrupted": "no process had it",
    "store": "it was held up by its own log",
    "headrace": "went to Headrace itself, and to the program that it runs in",
}


def words(told: Explanation) -> list[str]:
    """What happened and what to do about it, most important first, a sentence or two each."""
    return [*_end(told), *_first_token(told), *_causes(told), *_figures(told)]


def took(us: int) -> str:
    """A length of time: ``0.4 ms``, ``12 ms``, ``4.2 s``, ``3 min 5 s``, ``2 h 3 min``."""
    if us < 995_000:
        ms = us / 1e3
        return f"{ms:.0f} ms" if ms >= 9.95 else f"{ms:.1f} ms"
    if us < 59_950_000:
        return f"{us / 1e6:.1f} s"
    seconds = round(us / 1e6)
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def percent(us: int, whole: int) -> str:
    """A share: ``69 %``; a small one is not nothing: ``<1 %``."""
    share = 100 * us / whole if whole else 0.0
    return f"{share:.0f} %" if share >= 0.95 or not us else "<1 %"


def _end(told: Explanation) -> Iterator[str]:
    whole = took(told.duration_us)
    match told.status:
        case "complete":
            what = _FINISHED.get(told.reason, "it ended")
            yield f"The run took {whole} and ended with {told.reason}: {what}."
        case "error":
            yield f"The run failed after {whole} with {told.reason}: {_sentence(told.message)}"
        case "cancelled":
            yield f"The run was cancelled after {whole}: {_sentence(told.reason)}"
        case _:
            yield f"The run has not ended; this is {whole} of it. {_now(told)}".rstrip()
    kind = max(told.parts, key=lambda part: told.parts[part])
    us = told.parts[kind]
    if us >= NOTABLE_US:
        yield f"Most of that, {took(us)} ({percent(us, told.duration_us)}), {_NAMES[kind]}."


def _now(told: Explanation) -> str:
    """What a live run is doing."""
    open_ = [step for step in told.steps if step.finish_reason is None]
    if not open_:
        return ""
    step = open_[-1]
    if step.streaming_us:
        return f"Step {step.step} streams since {took(step.streaming_us)}."
    return f"Step {step.step} waits since {took(step.waiting_us)} for {step.model} to begin."


def _first_token(told: Explanation) -> Iterator[str]:
    first, before = told.first_token_us, told.before_first_token
    if first is None:
        if told.steps and told.status != "running":
            yield "No text of an answer came at all."
        return
    if first < NOTABLE_US:
        return
    provider = before["waiting"] + before["streaming"] + before["lost"]
    own = [
        f"{what} {took(us)}"
        for what, us in (
            ("the queue", before["queue"]),
            ("tools", before["tools"]),
            ("a person", before["person"]),
            ("no process", before["interrupted"]),
            ("Headrace", before["headrace"]),
        )
        if _notable(us, first)
    ]
    rest = f" ({', '.join(own)})" if own else ""
    yield (
        f"The provider took {took(provider)} of the {took(first)} before the first token{rest}."
        f"{_sooner(told, provider, first)}"
    )


def _sooner(told: Explanation, provider: int, first: int) -> str:
    if not _notable(provider, first) or provider < 1_000_000:
        return ""
    steps = sum(1 for step in told.steps if not step.agent and step.at_us < first)
    if steps > 1:
        return (
            f" It was asked {steps} times until then: each step waits for the one before and its "
            "tools."
        )
    return (
        " A shorter prompt, one whose begin the provider can cache, less reasoning, or a smaller "
        "or nearer model begin sooner."
    )


def _causes(told: Explanation) -> Iterator[str]:
    yield from _queue(told)
    yield from _interrupted(told)
    yield from _lost(told)
    yield from _gaps(told)
    yield from _tools(told)
    yield from _person(told)
    yield from _store(told)
    yield from _headrace(told)


def _queue(told: Explanation) -> Iterator[str]:
    us = told.parts["queue"]
    if us < NOTABLE_US:
        return
    if told.behind:
        yield (
            f"It waited {took(us)} for its turn: {told.behind} was live in its session. A session "
            "has one live run; other conversations do not wait for it."
        )
    else:
        yield (
            f"{took(us)} went by between its submit and its begin: the store that kept its record, "
            "a session's turn, or a process that was busy."
        )


def _interrupted(told: Explanation) -> Iterator[str]:
    if us := told.parts["interrupted"]:
        yield (
            f"For {took(us)} no process had it: its own was lost, and another took it up. Without "
            "a restart or a crash, look why the process stood still."
        )


def _lost(told: Explanation) -> Iterator[str]:
    if not told.retries and not told.withdrawn:
        return
    what = []
    if told.retries:
        tries = _count(told.retries, "try was given up", "tries were given up")
        what.append(f"{tries} and made again, or by another model")
    if told.withdrawn:
        chars = _count(told.withdrawn_chars, "character", "characters")
        times = "once" if told.withdrawn == 1 else f"{told.withdrawn} times"
        what.append(f"{chars} that were shown already were withdrawn ({times})")
    yield f"{'; '.join(what).capitalize()}. That took {took(told.parts['lost'])}.{_first(told)}"


def _first(told: Explanation) -> str:
    """The first warning in the provider's own words."""
    found = next((t for t in told.troubles if t.code != "recovered"), None)
    return f" At {_at(found)}: {_sentence(found.message)}" if found else ""


def _at(trouble: Trouble) -> str:
    return took(trouble.at_us)


def _gaps(told: Explanation) -> Iterator[str]:
    if not told.gaps:
        return
    over = took(told.gap_over_us).replace(".0 s", " s")
    longest = told.longest_gaps[0]
    each = "" if told.gaps == 1 else f", {took(told.gap_us)} in all, the longest {took(longest.us)}"
    length = f" of {took(longest.us)}" if told.gaps == 1 else f" over {over}"
    where = f"step {longest.step}" + (f" of {longest.agent}" if longest.agent else "")
    count = _count(told.gaps, "silence", "silences")
    told_held = (
        " The run's own log held it up meanwhile (below)."
        if _notable(told.parts["store"], told.gap_us)
        else " The run's log did not hold it up: that is the model or the network to it, or code "
        "that blocks the program's event loop."
    )
    yield f"{count}{length} in mid-answer{each}, at {took(longest.at_us)} in {where}.{told_held}"


def _tools(told: Explanation) -> Iterator[str]:
    for turn in told.in_turn:
        if turn.us >= NOTABLE_US:
            who = f"Step {turn.step}" + (f" of {turn.agent}" if turn.agent else "")
            yield (
                f"{who} asked for {turn.calls} tools at once, and they ran one after another "
                f"({took(turn.us)}). Is parallel_tools 1, or do they block the event loop? A tool "
                "that is a plain def runs in a thread."
            )
    slow = [tool for tool in told.tools if tool.us >= NOTABLE_US]
    if slow and _notable(told.parts["tools"], told.duration_us):
        names = ", ".join(
            f"{tool.name} {took(tool.us)} ({_count(tool.calls, 'call', 'calls')})"
            for tool in slow[:3]
        )
        yield f"The run waited {took(told.parts['tools'])} for its tools: {names}."
    if failed := [tool for tool in told.tools if tool.failed]:
        names = ", ".join(f"{tool.name} {tool.failed} of {tool.calls}" for tool in failed[:3])
        yield f"Calls that failed: {names}. The model was told, and answered knowing it."


def _person(told: Explanation) -> Iterator[str]:
    if us := told.parts["person"]:
        yield f"It waited {took(us)} for a person to decide about a call."


def _store(told: Explanation) -> Iterator[str]:
    us = told.parts["store"]
    if _notable(us, told.duration_us):
        yield (
            f"Its own log held it up for {took(us)}: the store commits more slowly than the model "
            "writes, or a viewer that blocks reads more slowly. Look at the disk of the store, or "
            "let the viewer merge."
        )


def _headrace(told: Explanation) -> Iterator[str]:
    us = told.parts["headrace"]
    if us >= 2 * NOTABLE_US and _notable(us, told.duration_us):
        yield (
            f"{took(us)} lie between steps and tools. Headrace itself needs a few milliseconds: "
            "something else keeps the program's event loop busy. asyncio.run(main(), debug=True) "
            "names it."
        )


def _figures(told: Explanation) -> Iterator[str]:
    usage = told.usage
    if usage.total:
        about = "" if usage.exact else "≈"
        read = f"{about}{usage.input} read"
        if usage.cached:
            read += f" ({percent(usage.cached, usage.input)} of them from the provider's cache)"
        written = f"{about}{usage.output} written"
        if usage.reasoning:
            written += f" ({usage.reasoning} of them reasoning)"
        how = (
            "as the provider counts"
            if usage.exact
            else "estimated in part: the provider did not tell them all"
        )
        yield f"Tokens: {read}, {written}, {how}.{_uncached(told)}"
    if told.tokens_per_second:
        yield f"{told.tokens_per_second:g} tokens a second of the time that models took."


def _uncached(told: Explanation) -> str:
    usage = told.usage
    steps = sum(1 for step in told.steps if not step.withdrawn)
    if usage.cached or not usage.exact or steps < 2 or usage.input < CACHEABLE * steps:
        return ""
    return (
        " None came from its cache, as far as it tells, though each step repeats the one before: "
        "keep the begin of the prompt the same from one call to the next."
    )


def _notable(us: int, whole: int) -> bool:
    return us >= NOTABLE_US and us >= NOTABLE_SHARE * whole


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _sentence(text: str) -> str:
    text = text.strip() or "no reason was given"
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
