"""Which decoder reads which bytes: the wires of the provider table, by name."""

from __future__ import annotations

from importlib import import_module

from headrace.errors import ConfigurationError
from headrace.models.model import BaseModel
from headrace.providers.rows import ROWS


def wire_of(model: object) -> str | None:
    """The name of a model's wire, such as ``openai_chat``; None for a model without one."""
    inner = getattr(model, "inner", None)
    if inner is not None:
        return wire_of(inner)
    if not isinstance(model, BaseModel) or type(model).decoder is BaseModel.decoder:
        return None
    known = {_wire(row.module) for row in ROWS} - {""}
    wires = (_wire(kind.__module__) for kind in type(model).__mro__)
    return next((wire for wire in wires if wire in known), None)


def reader(wire: str, provider: str) -> BaseModel:
    """A model that is never asked, only for its `decoder`.

    Args:
        wire: The wire's name.
        provider: Whose bytes; named in errors.

    Raises:
        ConfigurationError: for a wire that this version does not have.
    """
    rows = [row for row in ROWS if _wire(row.module) == wire]
    if not wire or not rows:
        known = sorted({_wire(row.module) for row in ROWS} - {""})
        raise ConfigurationError(
            f"This version of Headrace does not know the wire {wire!r}.",
            hint=f"It knows {', '.join(known)}.",
        )
    row = next((row for row in rows if row.name == provider), rows[0])
    made: BaseModel = getattr(import_module(row.module), row.factory)("", provider=provider)
    return made


def _wire(module: str) -> str:
    """``headrace.providers.openai_chat.client`` is the wire ``openai_chat``; others are none."""
    home, _, last = module.removeprefix("headrace.providers.").rpartition(".")
    return home if last == "client" else ""
