"""``openai``: the wire of OpenAI's Chat Completions, seen from the server.

`request.py` reads what a client asks, `encode.py` streams a run as chunks, `whole.py` gives it in
one answer and lists the models, `errors.py` has the shape in which the SDKs raise errors, and
`fields.py` what chunks and whole answers have in common.
"""
