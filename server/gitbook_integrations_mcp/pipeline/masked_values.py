"""What a model was not shown and sends back: masks, cut ends and hidden characters become again what GitBook has.

So nothing is lost when a model reads a thing and writes it back, changed here and there. The restored values are in the
request only: question, journal and what a yes is bound to know the arguments as the model sent them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.masking import MASK, MaskingScope, find_secrets
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.view import holds_mark, show_names, stands_for
from gitbook_integrations_mcp.confirmation.preview import Previewer
from gitbook_integrations_mcp.errors import CallError, ErrorCode, MaskError, TargetError
from gitbook_integrations_mcp.gitbook.credentials import REDACTED
from gitbook_integrations_mcp.text import clean_text

_ABSENT = object()


async def restore_masked_values(call: EndpointCall, previewer: Previewer) -> EndpointCall:
    """Return `call` with its target as it is now, and a request that keeps what of the target was not shown.

    Raises:
        MaskError: a placeholder matches no current value, or a credential is left out.
        TargetError: the target cannot be read.
    """
    if not call.tool.body_names.intersection(call.arguments):
        return call
    if not is_written_back(call.tool):
        return restore_from(call, {})
    try:
        target = await previewer.read_target(call)
    except CallError as error:
        raise TargetError(
            f"{call.tool.name} could not read the current state, so nothing was changed. {error}"
        ) from None
    return restore_from(replace(call, before=target), target)


def is_written_back(endpoint: Endpoint) -> bool:
    """Whether an endpoint changes the very thing that another one reads."""
    reader = find_target(endpoint)
    return bool(endpoint.body_names) and reader is not None and reader.path == endpoint.path


def restore_from(call: EndpointCall, target: Mapping[str, Any] | None) -> EndpointCall:
    """Return `call` with a request that keeps what of `target` was not shown.

    Raises:
        MaskError: something stands for a value that `target` does not have, or that cannot be told from others there;
            or a credential of `target` is left out, which nobody could get back.
    """
    current = (target or {}) if is_written_back(call.tool) else {}
    try:
        restored = {
            name: _put_back(value, current.get(name, _ABSENT), MaskingScope.OPEN.descend(name, current), name)
            if name in call.tool.body_names
            else value
            for name, value in call.arguments.items()
        }
    except _UnknownError as error:
        unreadable = "; the token may not read what is there now" if target is None else ""
        raise MaskError(
            f"{clean_text(error.path, 200)} holds what stands for a value that was not shown, and {error.why}"
            f"{unreadable}. Nothing was sent. Send the value itself, or, of what was read, everything as it was shown."
        ) from None
    for name in call.tool.body_names.intersection(call.arguments):
        place = MaskingScope.OPEN.descend(name, current)
        if lost := next(_find_left_out(call.arguments[name], current.get(name), place, name), None):
            raise MaskError(
                f"{clean_text(lost, 200)} is left out. It holds a credential, which GitBook may drop, and nobody could "
                f"get it back. Nothing was sent. Send {MASK} in its place to keep it, or null to let it go.",
                ErrorCode.CREDENTIAL_OMITTED,
            )
    if restored == call.arguments:
        return call
    return replace(call, request=call.tool.build_request(restored))


def _find_left_out(sent: Any, current: Any, place: MaskingScope, path: str) -> Iterator[str]:
    """Yield what of `current` holds a credential and has no place in `sent`."""
    if not (isinstance(sent, dict) and isinstance(current, dict)):
        return
    for shown, name in show_names(current).items():
        below = place.descend(name, current)
        if shown in sent or name in sent:
            yield from _find_left_out(sent.get(shown, sent.get(name)), current[name], below, f"{path}.{shown}")
        elif next(find_secrets(current[name], place=below), None) is not None:
            yield f"{path}.{shown}"


class _UnknownError(Exception):
    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(path)


def _put_back(sent: Any, current: Any, place: MaskingScope, path: str) -> Any:
    """Return `sent` with what stands in it for parts of `current` replaced by these."""
    if isinstance(sent, dict):
        return dict(_put_back_fields(sent, current if isinstance(current, dict) else {}, place, path))
    if isinstance(sent, list):
        return _put_back_items(sent, current if isinstance(current, list) else [], place, path)
    if _stands_for(sent, current, place):
        return current
    if isinstance(sent, str) and _is_mark(sent, place):
        raise _UnknownError(path, "GitBook has none there")
    return sent


def _put_back_fields(
    sent: Mapping[str, Any], current: Mapping[str, Any], place: MaskingScope, path: str
) -> Iterator[tuple[str, Any]]:
    names = show_names(current)
    for key, value in sent.items():
        if key not in names and REDACTED in key:
            raise _UnknownError(f"{path}.{key}", "GitBook has none there")
        name = names.get(key, key)
        below = place.descend(name, current if name in current else sent)
        yield name, _put_back(value, current.get(name, _ABSENT), below, f"{path}.{key}")


def _put_back_items(sent: list[Any], current: list[Any], place: MaskingScope, path: str) -> list[Any]:
    """Return the items of a list, which may have moved: each is what it was shown as, where that is but one thing."""
    if _stands_for(sent, current, place):
        return current
    restored = []
    for number, item in enumerate(sent):
        meant = [one for one in current if _stands_for(item, one, place)]
        if meant and all(one == meant[0] for one in meant):
            restored.append(meant[0])
        elif meant and _holds_mark(item, place):
            raise _UnknownError(f"{path}.{number}", "GitBook has several there")
        else:
            restored.append(_put_back(item, _ABSENT, place, f"{path}.{number}"))
    return restored


def _stands_for(sent: Any, current: Any, place: MaskingScope) -> bool:
    """Whether `sent` is what a model is shown of `current`."""
    if isinstance(sent, dict) and isinstance(current, dict):
        names = show_names(current)
        return sent.keys() == names.keys() and all(
            _stands_for(sent[shown], current[name], place.descend(name, current)) for shown, name in names.items()
        )
    if isinstance(sent, list) and isinstance(current, list):
        return len(sent) == len(current) and all(
            _stands_for(one, other, place) for one, other in zip(sent, current, strict=True)
        )
    if sent == MASK and not isinstance(current, dict | list) and current is not _ABSENT and place.hides(current):
        return True
    if isinstance(sent, str) and isinstance(current, str):
        return stands_for(sent, current)
    return type(sent) is type(current) and bool(sent == current)


def _holds_mark(sent: Any, place: MaskingScope) -> bool:
    if isinstance(sent, dict):
        return any(_holds_mark(value, place.descend(key, sent)) for key, value in sent.items())
    if isinstance(sent, list):
        return any(_holds_mark(item, place) for item in sent)
    return isinstance(sent, str) and _is_mark(sent, place)


def _is_mark(text: str, place: MaskingScope) -> bool:
    """Whether `text` is a mark or, where credentials may be, holds one: sent on, it would replace one."""
    return text == MASK or holds_mark(text) or REDACTED in text or (place is not MaskingScope.OPEN and MASK in text)
