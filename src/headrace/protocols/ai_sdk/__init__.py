"""The AI SDK's UI message stream (https://ai-sdk.dev), which `useChat` of npm `ai` reads.

`encode.py` writes a run as such a stream, `parts.py` is how its parts look on the wire,
`request.py` reads what a page posts.
"""

from headrace.protocols.ai_sdk.encode import AISDKEncoder as AISDKEncoder
