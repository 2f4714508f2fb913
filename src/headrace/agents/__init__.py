"""Floor 6: agents.

`agent.py` is what a caller builds, `next_step.py` decides, `drive.py` awaits; `step.py` is one
model call, `calls.py` its tools, `translate.py` turns deltas into events.
"""
