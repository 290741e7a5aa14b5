"""Compares two reports. Anything that either report could not read is undecided, never a difference."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gitbook_integrations_api.choices import LEVELS
from gitbook_integrations_api.report import (
    VERSION,
    Change,
    Comparison,
    Finding,
    InstallationFacts,
    Report,
    SiteFacts,
    SpaceFacts,
    Subject,
)
from gitbook_integrations_api.report import Undecided as ReportedUndecided
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, SITES, SPACES, name_places, name_scripts
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError
from gitbook_integrations_mcp.text import quote

_Listed = TypeVar("_Listed", InstallationFacts, SpaceFacts, SiteFacts)


class BaselineError(RefusedError):
    """There is no earlier report to compare with, or it is invalid or covers something else."""

    code = ErrorCode.INVALID_BASELINE


@dataclass(frozen=True, slots=True)
class ComparedItem:
    """A part of a report that can be added, removed or changed. `sources` are the lists that contain it."""

    kind: Any
    subject: Subject
    title: str
    fields: Mapping[str, Any]
    sources: tuple[str, ...]


@dataclass(slots=True)
class _Differences:
    added: list[Change] = field(default_factory=list)
    removed: list[Change] = field(default_factory=list)
    changed: list[Change] = field(default_factory=list)


def read_baseline(content: Any) -> Report:
    """Return the earlier report in `content`.

    Raises:
        BaselineError: `content` is not a report that this version can read.
    """
    try:
        return Report.model_validate(_upgrade(content))
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise BaselineError(
            f"The baseline is not an audit report of version 1 or {VERSION} (see {place or 'its type'}). Use the "
            "complete output of audit --format json."
        ) from None


def _upgrade(content: Any) -> Any:
    """Return a report of version 1 as one of version 2. Anything else is returned as it is.

    Version 1 did not have the time since which findings exist. It is that of the report, or earlier.
    """
    if not isinstance(content, Mapping) or content.get("version") != 1:
        return content
    time = {"firstSeen": content.get("generatedAt"), "since": content.get("generatedAt")}

    def date_findings(part: Any, name: str) -> Any:
        if not isinstance(part, Mapping) or not isinstance(findings := part.get(name), list):
            return part
        return {**part, name: [time | finding if isinstance(finding, dict) else finding for finding in findings]}

    upgraded = date_findings({**content, "version": VERSION}, "findings")
    return upgraded | {"comparison": date_findings(content.get("comparison"), "fixed")}


def compare(before: Report, now: Report) -> Comparison:
    """Return the differences between two reports on the same part of the same organization.

    Raises:
        BaselineError: the reports cover different organizations or different parts of one.
    """
    if before.organization.id != now.organization.id or before.narrowing != now.narrowing:
        raise BaselineError(
            "The baseline covers another organization or another part of it. Audit the same organization with the same "
            "integrations, spaces and sites as the baseline."
        )
    gaps = _list_gaps(before), _list_gaps(now)
    differences = _Differences()
    old, new = _index(before, now), _index(now, before)
    for key in [*old, *(key for key in new if key not in old)]:
        _compare_item(old.get(key), new.get(key), gaps, differences)
    unread = sorted(gaps[0] | gaps[1])
    found, older = _find_new(before, now)
    fixed, unknown = _find_fixed(before, now)
    return Comparison(
        baseline=before.generatedAt,
        baselineComplete=before.coverage.complete,
        added=tuple(differences.added),
        removed=tuple(differences.removed),
        changed=tuple(differences.changed),
        newFindings=tuple(found),
        possiblyOlder=tuple(older),
        reopened=tuple(_find_reopened(before, now)),
        fixed=tuple(fixed),
        undecided=(*unknown, *(f"{source}: not read completely" for source in unread)),
    )


def _list_gaps(report: Report) -> set[str]:
    return {gap.source for gap in report.coverage.gaps}


def _index(report: Report, other: Report) -> dict[tuple[str, ...], ComparedItem]:
    return {(item.kind, *(value for _, value in item.subject if value)): item for item in _list_items(report, other)}


def _leave_out_same(parts: Iterable[_Listed], others: Iterable[_Listed]) -> Iterator[_Listed]:
    """Yield the parts that the other report does not have in the same form. Most are the same, so this saves time."""
    known = {each.id: each for each in others}
    return (each for each in parts if each != known.get(each.id))


def _list_items(report: Report, other: Report) -> Iterator[ComparedItem]:
    """Yield what is to be compared with another report, without what is the same in both."""
    titles = report.titles
    for installed in _leave_out_same(report.installations, other.installations):
        facts = installed.integration
        own = installed.model_dump(include={"status", "spaceSelection", "siteSelection", "externalIds", "updatedAt"})
        integration = facts.model_dump(exclude={"name", "title", "categories"})
        subject = Subject(integration=facts.name, installation=installed.id)
        yield ComparedItem("installation", subject, facts.title, own | integration, (INSTALLATIONS,))
        for level in LEVELS:
            for place in installed.get_places(level):
                where = subject.model_copy(update={level: place.id})
                title = f"{quote(facts.title)} on {quote(titles.get(place.id, place.id))}"
                fields = _dump(place, {"status", "externalIds"})
                sources = (INSTALLATIONS, name_places(level, installed.id))
                yield ComparedItem(f"on {level}", where, title, fields, sources)
    for space in _leave_out_same(report.spaces, other.spaces):
        fields = _dump(space, {"title", "visibility"})
        yield ComparedItem("space", Subject(space=space.id), space.title, fields, (SPACES,))
    for site in _leave_out_same(report.sites, other.sites):
        fields = _dump(site, {"title", "type", "visibility", "published", "url"})
        yield ComparedItem("site", Subject(site=site.id), site.title, fields, (SITES,))
        for script in site.scripts or ():
            where = Subject(integration=script.integration, site=site.id, script=script.url)
            fields = _dump(script, {"contentSecurityPolicy", "cookies"})
            title = f"{script.integration or script.host} on {quote(site.title)}"
            yield ComparedItem("script", where, title, fields, (SITES, name_scripts(site.id)))


def _dump(part: BaseModel, names: set[str]) -> dict[str, Any]:
    """Return fields of a part; those that are parts themselves as JSON objects. Faster than pydantic on many parts."""
    fields = {name: getattr(part, name) for name in names}
    return {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in fields.items()}


def _compare_item(
    old: ComparedItem | None, new: ComparedItem | None, gaps: tuple[set[str], set[str]], differences: _Differences
) -> None:
    if old is not None and new is not None:
        for name, before in old.fields.items():
            after = new.fields.get(name)
            # None is unknown: a value that only one report has may be unchanged.
            if before != after and before is not None and after is not None:
                differences.changed.append(_build_change(new, field=name, before=before, after=after))
        return
    item = new or old
    assert item is not None
    unread = gaps[0] if new else gaps[1]
    if unread.isdisjoint(item.sources):
        (differences.added if new else differences.removed).append(_build_change(item))


def _build_change(item: ComparedItem, **difference: Any) -> Change:
    return Change(kind=item.kind, subject=item.subject, title=item.title, **difference)


def _find_new(before: Report, now: Report) -> tuple[list[str], list[str]]:
    """Return the IDs of new findings, and those of them that the earlier report could not have found."""
    known = {finding.id for finding in before.findings}
    found = [finding for finding in now.findings if finding.id not in known]
    was_checked = _create_check_test(before)
    older = [finding.id for finding in found if not was_checked(finding)]
    return [finding.id for finding in found], older


def _find_reopened(before: Report, now: Report) -> Iterator[str]:
    accepted = {finding.id for finding in before.findings if finding.accepted}
    return (finding.id for finding in now.findings if finding.id in accepted and finding.accepted is None)


_CREDENTIALS = frozenset({"secrets-in-configuration", "typed-credentials", "stored-credentials"})
"""Rules about credentials, which stay valid at their vendor after the integration is uninstalled."""


def _find_fixed(before: Report, now: Report) -> tuple[list[Finding], list[str]]:
    """Return the fixed findings, and a description of each missing finding that may still be open."""
    present, was_checked = {finding.id for finding in now.findings}, _create_check_test(now)
    installed = {(one.id, place and place.id) for one in now.installations for place in (None, *one.spaces, *one.sites)}
    fixed: list[Finding] = []
    unknown: list[str] = []
    for finding in before.findings:
        if finding.id in present:
            continue
        if was_checked(finding):
            subject = finding.subject
            keeps = (
                finding.rule in _CREDENTIALS and (subject.installation, subject.space or subject.site) not in installed
            )
            summary = f"{finding.summary} (uninstalled; revoke the credential at its vendor)"
            fixed.append(finding.model_copy(update={"summary": summary}) if keeps else finding)
        else:
            unknown.append(f"{finding.summary}: may still be open")
    return fixed, unknown


def _create_check_test(report: Report) -> Callable[[Finding], bool]:
    """Return a function that tests whether the report checked what a finding is about.

    If it did and does not have the finding, then the finding did not exist at the time of the report.
    """
    gaps, rules = _list_gaps(report), {outcome.id: outcome for outcome in report.rules}

    def was_checked(finding: Finding) -> bool:
        rule = rules.get(finding.rule)
        if rule is None or rule.outcome in {"off", "unchecked"}:
            return False
        return gaps.isdisjoint(finding.sources) and not _is_undecided(finding, rule.undecided)

    return was_checked


def _is_undecided(finding: Finding, undecided: Iterable[ReportedUndecided]) -> bool:
    about = finding.subject.model_dump()
    subjects = ({key: value for key, value in each.subject.model_dump().items() if value} for each in undecided)
    return any(subject and all(about[key] == value for key, value in subject.items()) for subject in subjects)
