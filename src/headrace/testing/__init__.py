"""What helps to test programs that are built on Headrace.

Models that follow a script or break (`ScriptedModel`, `FaultyModel`), a clock that jumps, the
laws of a run as a check, the laws of a store as a class of tests (`StoreLaws`);
`headrace.testing.chunkings` cuts bytes into chunks.
"""

from headrace.providers.faulty import Cut, Fail, FaultyModel, Slow, Stall
from headrace.providers.scripted import Gate, ScriptedModel, Step
from headrace.testing.clock import FakeClock, run_with_fake_clock
from headrace.testing.laws import check_events
from headrace.testing.store_laws import StoreLaws

__all__ = [
    "Cut",
    "Fail",
    "FakeClock",
    "FaultyModel",
    "Gate",
    "ScriptedModel",
    "Slow",
    "Stall",
    "Step",
    "StoreLaws",
    "check_events",
    "run_with_fake_clock",
]
