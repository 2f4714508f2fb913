"""A run on the wire: one module a protocol, events in, bytes out, pure.

Each protocol is an `Encoder` (see `headrace.protocols.encoder`); `headrace.protocols.table` has
them by name.
"""
