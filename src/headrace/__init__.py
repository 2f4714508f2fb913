"""Headrace: an LLM agent's stream from any model to every screen."""
