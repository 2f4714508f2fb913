"""Floor 3: the vendors' wires, each a `Model`; `table.py` names them all.

Nothing is imported here: a provider's module is loaded when it is first used, so that naming one
costs nothing.
"""
