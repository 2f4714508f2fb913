"""Floor 4: a run, its log, and the cursors over it.

`log.py` holds the events and refuses stale writers; `writer.py` is the only hand that appends;
`run.py` is the execution with its one end; `viewer.py` is a cursor; `policies.py` says what a
lagging cursor gets; `fold.py` makes a log into a state; `metrics.py` measures.
"""
