"""`Fallback`: several models as one; where one fails, the next is asked.

Before the first content the next model is asked with the same request. After it `midstream`
decides: the call fails (``error``); the next model is asked for the whole answer by whoever can
take text back (``retry``); or the next model goes on with the answer where it stands
(``continue``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

from headrace.errors import ConfigurationError, UsageError
from headrace.models.deadlines import Deadlines
from headrace.models.fallback_call import FallbackCall
from headrace.models.model import BaseModel, Model
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.models.stream import Attempt

Midstream = Literal["error", "retry", "continue"]
"""What to do about a model that breaks after its first content."""

Resolve = Callable[[str], Model]
"""Makes the model that a name means.

Raises:
    ConfigurationError: no key for it, or no such model.
"""


class Fallback(BaseModel):
    """Several models as one.

    Each call begins with the first model. A model is asked as often as its own retries allow,
    under its own deadlines, before the next one is; each switch is told by a `Note`.

    Args:
        models: In the order in which to ask them; names are resolved when they are first asked.
        midstream: What to do after the first content.
        resolve: Makes the models that are named.
        deadlines: `run` bounds a call over all its models; by default the longest of theirs.

    Raises:
        UsageError: no model, or another word for `midstream`.
    """

    def __init__(
        self,
        models: Sequence[Model | str],
        *,
        midstream: Midstream = "error",
        resolve: Resolve | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        if not models:
            raise UsageError("A fallback needs a model.", hint="Give two or more.")
        if midstream not in ("error", "retry", "continue"):
            raise UsageError(f"midstream is error, retry or continue, not {midstream!r}.")
        run = _longest(models) if deadlines is None else deadlines.run
        own = Deadlines(connect=None, first_content=None, gap=None, run=run)
        super().__init__("fallback", "", deadlines=own, retry=NO_RETRY)
        self.models = tuple(models)
        self.midstream: Midstream = midstream
        self._resolve = resolve
        self._made: dict[str, Model] = {}

    @property
    def name(self) -> str:
        """``openai:gpt-5, else anthropic``."""
        return ", else ".join(map(self.name_of, self.models))

    def name_of(self, model: Model | str) -> str:
        """The model's full name, as far as it is known before the model is made."""
        made = self._made.get(model, model) if isinstance(model, str) else model
        return made if isinstance(made, str) else made.name

    def made(self, model: Model | str) -> Model:
        """The model, made if it was only named.

        Raises:
            ConfigurationError: it cannot be made.
        """
        if not isinstance(model, str):
            return model
        if model not in self._made:
            if self._resolve is None:
                raise ConfigurationError(
                    f"Nothing here can tell what {model!r} means.",
                    hint="Use headrace.fallback, or give models instead of names.",
                )
            self._made[model] = self._resolve(model)
        return self._made[model]

    @property
    def features(self) -> frozenset[str]:  # type: ignore[override]  # known once they are made
        """What each of the models can be asked for; one that cannot be made is never asked."""
        features = BaseModel.features | {"schema", "schema+tools", "open schema"}
        for named in self.models:
            with suppress(ConfigurationError):
                features &= getattr(self.made(named), "features", BaseModel.features)
        return features

    def rest(self, models: Sequence[Model | str]) -> Fallback:
        """A fallback over some of the models, otherwise like this one."""
        rest = Fallback(
            models, midstream=self.midstream, resolve=self._resolve, deadlines=self.deadlines
        )
        rest._made = self._made
        return rest

    async def open(self, request: ModelRequest) -> Attempt:
        """One call; the first model is asked by the first read."""
        return FallbackCall(self, request)


def _longest(models: Sequence[Model | str]) -> float | None:
    """The longest whole call that any of these may take; a named one takes the default."""
    own = [Deadlines() if isinstance(m, str) else getattr(m, "deadlines", None) for m in models]
    runs = [(deadlines or Deadlines()).run for deadlines in own]
    return None if None in runs else max(run for run in runs if run is not None)
