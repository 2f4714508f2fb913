"""Where logs, runs and sessions live: one protocol, a module for each kind of store."""
