"""Floor 5: a run in a caller's shape.

`chunks.py` gives `StreamChunk`s, `text.py` strings, `callback.py` calls you, `channel.py` fills a
closable channel, `dispatcher.py` lets many receive events, `sync.py` serves callers without an
event loop, `operators.py` re-times and re-cuts any of these.
"""
