"""`fallback`: several models as one, named as everywhere else."""

from __future__ import annotations

from typing import Any

from headrace.errors import UsageError
from headrace.models.fallback import Fallback, Midstream
from headrace.models.model import Model
from headrace.providers.table import find_row, resolve_model


def fallback(*models: Model | str, midstream: Midstream = "error", **settings: Any) -> Fallback:
    """A model that asks the first of these, and where it fails the next.

        Agent(model=fallback("openai:gpt-5", "anthropic", midstream="retry"))

    Before the first content the next model is asked after a connection that failed, a deadline, a
    refusal that may pass (408, 409, 429, 5xx), a spent quota, a missing or refused key, a model
    that is not there, or an answer that is not the protocol; each model's own retries come first.
    A request that is itself at fault (other 4xx, something the provider lacks) is an error at once.

    Args:
        models: Models or their names, in the order in which to ask them. A named one is made when
            it is first asked, so that a key which is missing matters only then.
        midstream: What to do about a model that breaks after its first content. ``error``: the
            call fails. ``retry``: the next model is asked for the whole answer, and an agent
            withdraws the broken text, where its viewers can take text back. ``continue``: the
            next model that can goes on with the answer where it stands; else as ``retry``.
        settings: For the models that are named, such as ``deadlines`` or ``retry``. ``run`` of the
            deadlines bounds a whole call, over all models.

    Raises:
        ConfigurationError: for a name that means no provider.
        UsageError: for no models at all, or another word for `midstream`.
    """
    for model in models:
        if isinstance(model, str):
            find_row(model)
        elif not isinstance(model, Model):
            raise UsageError(f"A fallback is made of models and names, not {model!r}.")

    def resolve(name: str) -> Model:
        return resolve_model(name, **settings)

    deadlines = settings.get("deadlines")
    return Fallback(models, midstream=midstream, resolve=resolve, deadlines=deadlines)
