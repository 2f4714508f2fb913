"""Floor 2: what a model is, whoever provides it.

`model.py` is the interface, `request.py` what goes in, `deltas.py` what comes out, `assembler.py`
joins deltas to a turn, `stream.py` drives one call with its deadlines and retries.
"""
