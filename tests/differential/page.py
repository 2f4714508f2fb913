"""Writes docs/providers.md from the rows and from the bodies of the differential tests.

    python -m tests.differential.page

A test fails while the page is not what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from headrace.providers.features import FEATURES
from headrace.providers.rows import ROWS, Row
from tests.differential.harness import Case

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "providers.md"
COMMAND = "python -m tests.differential.page"

_HEADINGS = {
    "tools": "tools",
    "tool_choice": "forced choice",
    "images": "images",
    "files": "files",
    "json": "JSON",
    "schema": "schema",
    "reasoning": "reasoning",
    "effort": "effort",
    "seed": "seed",
    "stop": "stop",
}
_PACKAGES = {"gemini": "google-genai", "openai-responses": "openai"}
_WHERE = {"finish_reason": "finish reason", "calls": "tool calls"}

_TOP = """\
# Providers

<!-- Written by `{command}`; what is changed here by hand is lost. -->

One meaning for text, reasoning, tool calls, finish reason, usage and errors, whatever the wire
does. Names, keys and default models are in [Models](models.md#providers); `headrace models` shows
them with what is found on your machine.

## What each supports

✓: Headrace asks for it as the provider wants it, and a test holds that. ✗: the provider has no
such thing on this wire, and asking for it is an error before any request. Whether a certain *model*
can do what its provider has is for the provider to say. What you put into the option `extra` is
never refused.

"""

_KEY = """
| column | what is asked for |
|---|---|
| tools | functions that the model may call |
| forced choice | `tool_choice` as `required` or a tool's name |
| images | `Image(data=…)`, and `Image(url=…)` where the provider fetches it |
| files | `File(…)`, such as a PDF |
| JSON | `response_format="json_object"` |
| schema | a JSON Schema as `response_format` |
| reasoning | the model's reasoning is shown, where the model has any to show |
| effort | `reasoning_effort` |
| seed, stop | the options of these names |
"""

_SDKS = """
## Where a vendor's own SDK sees something else

The same bytes are read by the vendor's official Python SDK and by Headrace: text, tool calls,
finish reason and token counts are compared. They agree on all bodies but these.

| wire | SDK | bodies | agree |
|---|---|---|---|
"""

_TOLD = """
| the body | wire | differs in | why |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    modules = list(_modules())
    parts = [
        _TOP.format(command=COMMAND),
        *_features(),
        _KEY,
        _SDKS,
        *(_counts(module) for module in modules),
        _TOLD,
        *_disagreements(modules),
    ]
    return "".join(parts)


def _features() -> Iterator[str]:
    yield f"| provider | {' | '.join(_HEADINGS[feature] for feature in FEATURES)} |\n"
    yield f"|---|{'---|' * len(FEATURES)}\n"
    for row in ROWS:
        if row.keys:
            yield f"| `{row.name}` | {' | '.join(_marks(row))} |\n"


def _marks(row: Row) -> Iterator[str]:
    return ("✓" if feature in row.supports else "✗" for feature in FEATURES)


def _modules() -> Iterator[ModuleType]:
    for file in sorted(Path(__file__).parent.glob("*_bodies.py")):
        yield import_module(f"tests.differential.{file.stem}")


def _wire(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2].removesuffix("_bodies").replace("_", "-")


def _sdk(module: ModuleType) -> str:
    wire = _wire(module)
    return getattr(module, "SDK", "") or _PACKAGES.get(wire, wire)


def _cases(module: ModuleType) -> list[Case]:
    cases: list[Case] = module.CASES
    return cases


def _counts(module: ModuleType) -> str:
    cases = _cases(module)
    agree = sum(not case.differs for case in cases)
    return f"| {_wire(module)} | `{_sdk(module)}` | {len(cases)} | {agree} |\n"


def _disagreements(modules: list[ModuleType]) -> Iterator[str]:
    """Each once, with all wires that it is true of."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    for module in modules:
        for case in _cases(module):
            if case.differs:
                where = ", ".join(sorted(_WHERE.get(name, name) for name in case.fields))
                lines.setdefault((case.name, where, case.differs), []).append(_wire(module))
    for (name, where, why), wires in lines.items():
        yield f"| {name} | {', '.join(wires)} | {where} | {_sentence(why)} |\n"


def _sentence(why: str) -> str:
    """A reason that begins with what the SDK does, made a sentence."""
    return f"The SDK {why}." if why[0].islower() else why


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
