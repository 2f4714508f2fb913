"""The embedded model: offline, deterministic, no key; it says plainly that it is no LLM.

`reply.py` decides (pure), `model.py` paces and awaits; `question.py` finds what is asked,
`calls.py` what to call, `answer.py` the words, `library.py` the documentation, `tools.py` the
tools that go with it.
"""
