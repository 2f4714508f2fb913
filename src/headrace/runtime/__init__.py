"""Runs that outlive their viewers: submitted, attached to, cancelled, steered, recovered."""

from headrace.runtime.runtime import Runtime

__all__ = ["Runtime"]
