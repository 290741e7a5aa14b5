"""Findings that somebody accepted: a file in which each has its reason, its date, and a date to look at it again."""

import datetime
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gitbook_integrations_api.report import Acceptance
from gitbook_integrations_mcp.config.types import check_rule
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError


class AcceptanceError(RefusedError):
    """The file of accepted findings cannot be used; what it accepts would be shown as open, or the other way round."""

    code = ErrorCode.INVALID_ACCEPTED_FINDINGS


def _check_finding(finding: str) -> str:
    rule, _, _ = finding.partition(":")
    check_rule(rule)
    return finding


class Accepted(BaseModel):
    """An entry: the ID of a finding, or that of a rule for all its findings."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    finding: Annotated[str, AfterValidator(_check_finding)]
    reason: str = Field(min_length=1)
    date: datetime.date
    expires: datetime.date | None = None


_FILE = TypeAdapter(list[Accepted])


class Acceptances:
    """What is accepted as of `today`; what has expired is not."""

    def __init__(self, entries: Iterable[Accepted], today: datetime.date) -> None:
        valid = (entry for entry in entries if entry.expires is None or entry.expires >= today)
        self._entries = {entry.finding: entry for entry in valid}

    def find(self, finding: str, rule: str) -> Acceptance | None:
        """Return why a finding is accepted: itself, or all of its rule."""
        entry = self._entries.get(finding) or self._entries.get(rule)
        if entry is None:
            return None
        expires = entry.expires.isoformat() if entry.expires else None
        return Acceptance(reason=entry.reason, date=entry.date.isoformat(), expires=expires)


def read_acceptances(path: Path | None, today: datetime.date) -> Acceptances:
    """Return what the file at `path` accepts; nothing where there is none.

    Raises:
        AcceptanceError: it cannot be read, or an entry is wrong.
    """
    if path is None:
        return Acceptances((), today)
    try:
        entries = _FILE.validate_python(json.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise AcceptanceError(
            f"The file of accepted findings (audit.accepted) cannot be read: {error.strerror}."
        ) from None
    except ValidationError as error:
        lines = [f"- {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
        raise AcceptanceError(
            "The file of accepted findings (audit.accepted) must be a list of finding, reason, date and, if it is to "
            "expire, expires:\n" + "\n".join(lines)
        ) from None
    except ValueError:
        raise AcceptanceError("The file of accepted findings (audit.accepted) is not valid JSON.") from None
    return Acceptances(entries, today)
