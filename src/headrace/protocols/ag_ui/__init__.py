"""AG-UI 1.0 (https://docs.ag-ui.com), the protocol of `@ag-ui/client` and what is built on it.

`encode.py` writes a run as AG-UI events, `frames.py` is how they look on the wire, `request.py`
reads what a client posts.
"""
