"""Chat Completions, the wire of OpenAI and of every server that is compatible with it.

`encode.py` makes the request, `decode.py` reads the stream, `client.py` carries both;
`dialect.py` holds what servers do differently, as data.
"""
