"""Shows several organizations side by side: which integrations only some have, and which they set up differently."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitbook_integrations_api.report import InstallationFacts, Report
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS

MAX_ITEMS = 60
"""Maximum number of integrations in each part of the result."""

MAX_LINES = 20
"""Maximum number of installations of each organization in the result."""

_COMPARED = ("status", "version", "spaceSelection", "siteSelection")


@dataclass(frozen=True, slots=True)
class OrganizationAudit:
    """The report on one organization, and digests of the settings of its installations, by ID and key."""

    report: Report
    settings: Mapping[str, Mapping[str, str]]

    @property
    def name(self) -> str:
        return self.report.organization.name

    @property
    def has_all_installations(self) -> bool:
        return all(gap.source != INSTALLATIONS for gap in self.report.coverage.gaps)


def set_side_by_side(audits: Sequence[OrganizationAudit]) -> dict[str, Any]:
    """Return which integrations only some organizations have, and which are set up differently.

    Of settings, only the keys are shown. Nobody knows what an organization lacks whose installations were not all read.
    """
    names = [_disambiguate(audit, audits) for audit in audits]
    by_integration: dict[str, dict[str, tuple[InstallationFacts, OrganizationAudit]]] = {}
    for name, audit in zip(names, audits, strict=True):
        for installed in audit.report.installations:
            by_integration.setdefault(installed.integration.name, {})[name] = installed, audit
    complete = [name for name, audit in zip(names, audits, strict=True) if audit.has_all_installations]
    only = [
        {"integration": integration, "in": list(found), "notIn": missing}
        for integration, found in sorted(by_integration.items())
        if (missing := [name for name in complete if name not in found])
    ]
    different = [
        {"integration": integration, "differences": differences}
        for integration, found in sorted(by_integration.items())
        if len(found) > 1 and (differences := dict(_compare(found)))
    ]
    return {
        "onlyIn": only[:MAX_ITEMS],
        "moreOnlyIn": max(0, len(only) - MAX_ITEMS),
        "different": different[:MAX_ITEMS],
        "moreDifferent": max(0, len(different) - MAX_ITEMS),
    }


def _disambiguate(audit: OrganizationAudit, audits: Sequence[OrganizationAudit]) -> str:
    if sum(each.name == audit.name for each in audits) == 1:
        return audit.name
    return f"{audit.name} ({audit.report.organization.id})"


def _compare(found: Mapping[str, tuple[InstallationFacts, OrganizationAudit]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each difference: its name, and its value in each organization."""
    for field in _COMPARED:
        values = {name: _read(installed, field) for name, (installed, _) in found.items()}
        if len(set(values.values())) > 1:
            yield field, values
    settings = {name: audit.settings.get(installed.id, {}) for name, (installed, audit) in found.items()}
    for key in sorted({key for each in settings.values() for key in each}):
        digests = {name: each.get(key) for name, each in settings.items()}
        if len(set(digests.values())) > 1:
            differs = None not in digests.values()
            shown = {name: "set" if digest else "not set" for name, digest in digests.items()}
            yield f"setting {key}", dict.fromkeys(shown, "differs") if differs else shown


def _read(installed: InstallationFacts, field: str) -> Any:
    return installed.integration.version if field == "version" else getattr(installed, field)
