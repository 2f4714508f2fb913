"""One small program for each peer, run in the peer's own environment."""
