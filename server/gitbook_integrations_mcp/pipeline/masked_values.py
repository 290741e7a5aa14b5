"""Restores, in the arguments of a call, the values that a model was not shown: masked, cut or cleaned ones.

This is the inverse of `calls.view`: a model that reads an object and writes it back with changes loses nothing that the
view hid. `calls.masking` decides for both which values are masked. Change the three modules together.

Only the request contains restored values. Confirmation, record and approval use the arguments as the model sent them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gitbook_integrations_api.endpoint import Endpoint
from gitbook_integrations_mcp.calls.call import EndpointCall
from gitbook_integrations_mcp.calls.masking import MASK, MaskingScope, find_secrets
from gitbook_integrations_mcp.calls.related import find_target
from gitbook_integrations_mcp.calls.view import ends_with_marker, is_shown_form, name_fields
from gitbook_integrations_mcp.confirmation.targets import TargetReader
from gitbook_integrations_mcp.errors import CallError, ErrorCode, MaskError, TargetError
from gitbook_integrations_mcp.gitbook.credentials import REDACTED
from gitbook_integrations_mcp.gitbook.json_body import find_repaired
from gitbook_integrations_mcp.text import clean_text, extend_path

_ABSENT = object()


async def restore_masked_values(call: EndpointCall, targets: TargetReader, *, reveal: bool) -> EndpointCall:
    """Return `call` with the current state of its target, and with a request that keeps values that were not shown.

    `reveal` says whether the view shows credentials.

    Raises:
        MaskError: a placeholder matches no current value, or a credential is left out.
        TargetError: the target cannot be read.
    """
    if not call.tool.body_names.intersection(call.arguments):
        return call
    if not is_written_back(call.tool):
        return restore_from(call, {}, reveal=reveal)
    try:
        target = await targets.read_target(call)
    except CallError as error:
        raise TargetError(
            f"{call.tool.name} could not read the current state, so nothing was changed. {error}"
        ) from None
    return restore_from(replace(call, before=target), target, reveal=reveal)


def is_written_back(endpoint: Endpoint) -> bool:
    """Whether an endpoint changes the same object that another endpoint reads."""
    reader = find_target(endpoint)
    return bool(endpoint.body_names) and reader is not None and reader.path == endpoint.path


def changes_nothing(call: EndpointCall) -> bool:
    """Whether an update has only values that the target has, as far as a model can know: credentials as masks.

    A guessed credential counts as a change. Otherwise the result would show whether the guess is right.
    """
    before = call.before
    if call.tool.configures is None or before is None or before.get("status") == "pending":
        return False  # an update can complete a pending installation without another value
    restorer = _Restorer(reveal=False)
    return all(
        restorer.matches_shown(call.arguments[name], before.get(name, _ABSENT), MaskingScope.OPEN.enter(name, before))
        for name in call.tool.body_names.intersection(call.arguments)
    )


def restore_from(call: EndpointCall, target: Mapping[str, Any] | None, *, reveal: bool) -> EndpointCall:
    """Return `call` with a request that keeps the values of `target` that were not shown.

    Raises:
        MaskError: a placeholder matches no value of `target`, or several; or a credential of `target` is left out, or
            would no longer be masked.
    """
    current = (target or {}) if is_written_back(call.tool) else {}
    restorer = _Restorer(reveal=reveal)
    scrub = call.caller.credentials.scrub
    try:
        restored = {
            name: restorer.restore(value, current.get(name, _ABSENT), MaskingScope.OPEN.enter(name, current), name)
            if name in call.tool.body_names
            else value
            for name, value in call.arguments.items()
        }
    except _PlaceholderError as error:
        unreadable = " The token cannot read the current values." if target is None else ""
        raise MaskError(
            f"{clean_text(scrub(error.path), 200)} contains a placeholder that matches {error.matches}.{unreadable} "
            "Nothing was sent. Send the real value, or return the field exactly as you received it."
        ) from None
    for name in call.tool.body_names.intersection(call.arguments):
        below = MaskingScope.OPEN.enter(name, {**current, **restored})
        exposures = _find_exposed(call.arguments[name], restored[name], below, name)
        if not reveal and (exposed := next(exposures, None)):
            raise MaskError(
                f"{clean_text(scrub(exposed), 200)} is a credential because of the name beside it. With the name that "
                "was sent, results would show it. Nothing was sent. Keep the name, or send a new value."
            )
        scope = MaskingScope.OPEN.enter(name, current)
        omissions = [*restorer.find_omitted(call.arguments[name], current.get(name), scope, name)]
        if omissions:
            omitted, *others = dict.fromkeys(
                [*omissions, *_list_missing(call.arguments[name], current.get(name), name)]
            )
            also = f" Also missing: {clean_text(scrub(', '.join(others)), 500)}." if others else ""
            raise MaskError(
                f"{clean_text(scrub(omitted), 200)} is missing. It contains a credential that would be lost for good. "
                f"Nothing was sent. Include {MASK} to keep it, or null to delete it.{also}",
                ErrorCode.CREDENTIAL_OMITTED,
            )
    if restored != call.arguments:
        call = replace(call, request=call.tool.build_request(restored))
    if path := find_repaired(call.request.body, target):
        raise MaskError(
            f"{clean_text(scrub(path), 200)} contains text that this server could not show exactly, because GitBook's "
            "value contains half a character, too many levels or too many digits. Sending it back would damage the "
            "original. Nothing was sent. Send the text as it should be."
        )
    return call


def _list_missing(sent: Any, current: Any, path: str) -> list[str]:
    """Return the paths of the fields of an object that an update leaves out, and so deletes."""
    if not isinstance(sent, dict) or not isinstance(current, dict):
        return []
    fields = name_fields(current).items()
    return [extend_path(path, shown) for shown, name in fields if shown not in sent and name not in sent]


class _PlaceholderError(Exception):
    """A placeholder that cannot be restored; `matches` says why: no value, or several."""

    def __init__(self, path: str, matches: str) -> None:
        self.path = path
        self.matches = matches
        super().__init__(path)


@dataclass(frozen=True, slots=True)
class _Restorer:
    """Restores values that a view did not show; `reveal` says whether the view shows credentials.

    Only the mask stands for a hidden value, and nothing is compared with it. Otherwise an error, or its absence, would
    show whether a guess is right.
    """

    reveal: bool

    def restore(self, sent: Any, current: Any, scope: MaskingScope, path: str) -> Any:
        """Return `sent` with the shown forms of values in `current` replaced by these values.

        Raises:
            _PlaceholderError: a placeholder matches no current value, or several.
        """
        if isinstance(sent, dict):
            return dict(self._restore_fields(sent, current if isinstance(current, dict) else {}, scope, path))
        if isinstance(sent, list):
            return self._restore_items(sent, current if isinstance(current, list) else [], scope, path)
        if self.matches_shown(sent, current, scope):
            return current
        if isinstance(sent, str) and _is_placeholder(sent, scope):
            raise _PlaceholderError(path, "no current value")
        return sent

    def find_omitted(self, sent: Any, current: Any, scope: MaskingScope, path: str) -> Iterator[str]:
        """Yield the paths of what contains a credential in `current` and is missing in `sent`.

        A credential is kept by a mask, and deleted by null. Another text in its place replaces it.
        """
        if sent is None:
            return
        if isinstance(current, dict) and isinstance(sent, dict):
            for shown, name in name_fields(current).items():
                below = scope.enter(name, current)
                if shown in sent or name in sent:
                    value = sent[shown] if shown in sent else sent[name]
                    yield from self.find_omitted(value, current[name], below, extend_path(path, shown))
                elif _contains_credential(current[name], below):
                    yield extend_path(path, shown)
        elif isinstance(current, list) and isinstance(sent, list):
            yield from self._find_omitted_items(sent, current, scope, scope, path)
        elif (isinstance(current, dict | list) or isinstance(sent, dict | list)) and _contains_credential(
            current, scope
        ):
            yield path

    def _find_omitted_items(
        self, sent: list[Any], current: list[Any], scope: MaskingScope, sent_scope: MaskingScope, path: str
    ) -> Iterator[str]:
        """Yield the paths of items with credentials for which no item of `sent` stands; each stands for one."""
        rest = list(sent)
        unmatched: list[tuple[int, Any]] = []
        for number, item in enumerate(current):
            if not _contains_credential(item, scope):
                continue
            match = next((one for one, value in enumerate(rest) if self.matches_shown(value, item, scope)), None)
            if match is None:
                unmatched.append((number, item))
            else:
                del rest[match]
        rest = [value for value in rest if not _contains_placeholder(value, scope)]  # these stand for other items
        for number, item in unmatched:
            match = next(
                (one for one, value in enumerate(rest) if self._replaces(value, item, scope, sent_scope)), None
            )
            if match is None:
                yield extend_path(path, number)
            else:
                del rest[match]

    def _replaces(self, sent: Any, current: Any, scope: MaskingScope, sent_scope: MaskingScope) -> bool:
        """Whether an item has null or another credential wherever the item `current` has a credential.

        The scopes differ if the item is a pair that names something else.
        """
        if sent is None:
            return True
        if isinstance(current, dict) and isinstance(sent, dict):
            sent_names = name_fields(sent)
            return all(
                shown in sent_names
                and self._replaces(
                    sent[sent_names[shown]],
                    current[name],
                    scope.enter(name, current),
                    sent_scope.enter(sent_names[shown], sent),
                )
                for shown, name in name_fields(current).items()
                if _contains_credential(current[name], scope.enter(name, current))
            )
        if isinstance(current, list) and isinstance(sent, list):
            return next(self._find_omitted_items(sent, current, scope, sent_scope, ""), None) is None
        return not isinstance(current, dict | list) and sent_scope.masks(sent)

    def _restore_fields(
        self, sent: Mapping[str, Any], current: Mapping[str, Any], scope: MaskingScope, path: str
    ) -> Iterator[tuple[str, Any]]:
        names = name_fields(current)
        for key, value in sent.items():
            if key not in names and REDACTED in key:
                raise _PlaceholderError(extend_path(path, key), "no current value")
            name = names.get(key, key)
            below = scope.enter(name, current if name in current else sent)
            yield name, self.restore(value, current.get(name, _ABSENT), below, extend_path(path, key))

    def _restore_items(self, sent: list[Any], current: list[Any], scope: MaskingScope, path: str) -> list[Any]:
        """Return the items of a list, which may have moved: each becomes the current item that it is the shown form of.

        Items that look alike because of what is hidden in them are several, even if they are equal.
        """
        if self.matches_shown(sent, current, scope):
            return current
        restored = []
        for number, item in enumerate(sent):
            candidates = [candidate for candidate in current if self.matches_shown(item, candidate, scope)]
            hidden = bool(candidates) and not self.reveal and _contains_credential(candidates[0], scope)
            if candidates and (
                len(candidates) == 1 if hidden else all(candidate == candidates[0] for candidate in candidates)
            ):
                restored.append(candidates[0])
            elif candidates and _contains_placeholder(item, scope):
                raise _PlaceholderError(extend_path(path, number), "several current values")
            else:
                restored.append(self.restore(item, _ABSENT, scope, extend_path(path, number)))
        return restored

    def matches_shown(self, sent: Any, current: Any, scope: MaskingScope) -> bool:
        """Whether `sent` is the form in which a model is shown `current`."""
        if isinstance(sent, dict) and isinstance(current, dict):
            names = name_fields(current)
            return sent.keys() == names.keys() and all(
                self.matches_shown(sent[shown], current[name], scope.enter(name, current))
                for shown, name in names.items()
            )
        if isinstance(sent, list) and isinstance(current, list):
            return len(sent) == len(current) and all(
                self.matches_shown(one, other, scope) for one, other in zip(sent, current, strict=True)
            )
        if current is not _ABSENT and scope.masks(current):
            if sent == MASK:
                return True
            if not self.reveal:
                return False
        if isinstance(sent, str) and isinstance(current, str):
            return is_shown_form(sent, current)
        return type(sent) is type(current) and bool(sent == current)


def _find_exposed(sent: Any, restored: Any, scope: MaskingScope, path: str) -> Iterator[str]:
    """Yield the paths of masks whose value would be shown where they are sent. `scope` is that of `restored`."""
    if isinstance(sent, dict):
        names = name_fields(restored)
        for key, value in sent.items():
            name = names.get(key, key)
            yield from _find_exposed(
                value, restored.get(name), scope.enter(str(name), restored), extend_path(path, key)
            )
    elif isinstance(sent, list):
        for number, (one, other) in enumerate(zip(sent, restored, strict=True)):
            yield from _find_exposed(one, other, scope, extend_path(path, number))
    elif sent == MASK != restored and not scope.masks(restored):
        yield path


def _contains_credential(current: Any, scope: MaskingScope) -> bool:
    return next(find_secrets(current, scope=scope), None) is not None


def _contains_placeholder(sent: Any, scope: MaskingScope) -> bool:
    if isinstance(sent, dict):
        return any(_contains_placeholder(value, scope.enter(key, sent)) for key, value in sent.items())
    if isinstance(sent, list):
        return any(_contains_placeholder(item, scope) for item in sent)
    return isinstance(sent, str) and _is_placeholder(sent, scope)


def _is_placeholder(text: str, scope: MaskingScope) -> bool:
    """Whether `text` is a placeholder or contains one: GitBook would store it in place of the real value."""
    return (
        text == MASK or ends_with_marker(text) or REDACTED in text or (scope is not MaskingScope.OPEN and MASK in text)
    )
