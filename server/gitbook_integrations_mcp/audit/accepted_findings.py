"""Accepted findings, of the file and of the store. Each has a reason, a date, and optionally an expiry date."""

import datetime
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gitbook_integrations_api.report import Acceptance
from gitbook_integrations_mcp.config.json_text import JsonError, parse_json
from gitbook_integrations_mcp.config.types import check_rule
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError
from gitbook_integrations_mcp.store.acceptances import KeptAcceptance
from gitbook_integrations_mcp.times import find_day

logger = logging.getLogger(__name__)


class AcceptanceError(RefusedError):
    """The file of accepted findings cannot be used. Without it, accepted findings would be reported as open."""

    code = ErrorCode.INVALID_ACCEPTED_FINDINGS


def _check_finding(finding: str) -> str:
    rule, _, _ = finding.partition(":")
    check_rule(rule)
    return finding


class AcceptedFinding(BaseModel):
    """An accepted finding. `finding` is the ID of a finding, or the ID of a rule to accept all its findings.

    It is accepted up to and including the day `expires`. `by` says who accepted it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    finding: Annotated[str, AfterValidator(_check_finding)]
    reason: str = Field(min_length=1)
    date: datetime.date
    expires: datetime.date | None = None
    by: str | None = None


_FILE = TypeAdapter(list[AcceptedFinding])


class Acceptances:
    """The entries that are valid on `today`, without expired ones."""

    def __init__(self, entries: Iterable[AcceptedFinding], today: datetime.date) -> None:
        valid = (entry for entry in entries if entry.expires is None or entry.expires >= today)
        self._entries = {entry.finding: entry for entry in valid}

    def find(self, finding: str, rule: str) -> Acceptance | None:
        """Return the entry that accepts a finding, by its own ID or by its rule."""
        entry = self._entries.get(finding) or self._entries.get(rule)
        if entry is None:
            return None
        expires = entry.expires.isoformat() if entry.expires else None
        return Acceptance(reason=entry.reason, date=entry.date.isoformat(), expires=expires, by=entry.by)


def read_kept(acceptance: KeptAcceptance) -> AcceptedFinding:
    """Return an acceptance of the store. Its rule may be one that this version no longer has."""
    return AcceptedFinding.model_construct(
        finding=acceptance.finding,
        reason=acceptance.reason,
        date=find_day(acceptance.time),
        expires=datetime.date.fromisoformat(acceptance.until) if acceptance.until else None,
        by=acceptance.accepted_by,
    )


class AcceptanceFile:
    """The file of the setting `audit.accepted`. Without a path, and as long as there is no file, it is empty."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._warned = False

    def read(self) -> list[AcceptedFinding]:
        """Return the entries. The log says once that the file is missing.

        Raises:
            AcceptanceError: the file cannot be read, or an entry is invalid.
        """
        if self._path is None:
            return []
        try:
            return _FILE.validate_python(parse_json(self._path.read_text(encoding="utf-8-sig")))
        except FileNotFoundError:
            if not self._warned:
                logger.warning("audit.accepted: %s does not exist, so it accepts no finding", self._path)
            self._warned = True
            return []
        except OSError as error:
            raise AcceptanceError(
                f"Cannot read the file of accepted findings (audit.accepted): {error.strerror}."
            ) from None
        except ValidationError as error:
            lines = [
                f"- {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)
            ]
            raise AcceptanceError(
                "The file of accepted findings (audit.accepted) is invalid. It must be a JSON list of entries with "
                "finding, reason, date and, optionally, expires and by:\n" + "\n".join(lines)
            ) from None
        except JsonError as error:
            raise AcceptanceError(f"The file of accepted findings (audit.accepted) {error}.") from None
        except ValueError:
            raise AcceptanceError("The file of accepted findings (audit.accepted) is not valid UTF-8.") from None
