"""`typing.TypedDict` for pydantic, which before Python 3.12 takes only `typing_extensions`' own.

https://docs.pydantic.dev/latest/errors/usage_errors/#typed-dict-version: before 3.12 a class does
not tell in which of its bases a field was optional, so pydantic refuses all of them. Here they are
made anew, with each field's type and whether it has to be there.
"""

from __future__ import annotations

import sys
import types
import typing
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin

_REFUSED = sys.version_info < (3, 12)


def pydantic_type(hint: Any) -> Any:
    """The type, with every `typing.TypedDict` in it as one that pydantic takes.

    Those inside of pydantic models and dataclasses stay, and so does one inside of itself.

    Raises:
        NameError: a field's type names something unknown.
    """
    return _taken(hint, frozenset()) if _REFUSED else hint


def _taken(hint: Any, within: frozenset[Any]) -> Any:
    if isinstance(hint, type) and typing.is_typeddict(hint):
        return hint if hint in within else _anew(hint, within | {hint})
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None or origin is typing.Literal:
        return hint
    if origin is Annotated:
        return Annotated[(_taken(arguments[0], within), *hint.__metadata__)]
    # What `Callable` has as its arguments is no type, and stays.
    taken = tuple(_taken(each, within) for each in arguments)
    if all(one is other for one, other in zip(taken, arguments, strict=True)):
        return hint
    if origin in (Union, types.UnionType):
        return Union[taken]  # noqa: UP007 - of a tuple
    return origin[taken]


def _anew(hint: Any, within: frozenset[Any]) -> Any:
    import typing_extensions  # pydantic has it

    make: Any = typing_extensions.TypedDict
    if type(hint) is type(make("_", {})):
        return hint
    fields = typing.get_type_hints(hint, include_extras=True)
    made = make(
        hint.__name__, {name: _field(hint, name, of, within) for name, of in fields.items()}
    )
    made.__doc__, made.__module__ = hint.__doc__, hint.__module__
    return made


def _field(hint: Any, name: str, of: Any, within: frozenset[Any]) -> Any:
    if get_origin(of) in (Required, NotRequired):
        return get_origin(of)[_taken(get_args(of)[0], within)]
    needed = Required if name in hint.__required_keys__ else NotRequired
    return needed[_taken(of, within)]
