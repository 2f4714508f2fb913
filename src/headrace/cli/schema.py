"""`headrace schema`: the JSON Schema of a run's events."""

from __future__ import annotations

import json

from headrace.cli.endings import clear_endings


@clear_endings()
def schema() -> None:
    """Print the JSON Schema of all events.

    They are what `headrace run --json` writes, one a line. JSON Schema 2020-12.
    """
    from headrace.events import schema as event_schema

    print(json.dumps(event_schema(), indent=2))
