"""What differs between two reports. What one of them did not read is told as undecided, never as a difference."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from gitbook_integrations_api.report import VERSION, Change, Comparison, Finding, Report, Subject
from gitbook_integrations_mcp.audit.coverage import INSTALLATIONS, SITES, SPACES, name_places, name_scripts
from gitbook_integrations_mcp.audit.inventory import LEVELS
from gitbook_integrations_mcp.errors import ErrorCode, RefusedError


class BaselineError(RefusedError):
    """The earlier report is none, or of something else."""

    code = ErrorCode.INVALID_BASELINE


@dataclass(frozen=True, slots=True)
class Thing:
    """Something of a report that comes, goes and changes. `sources` are the lists that tell of it."""

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
    undecided: dict[str, None] = field(default_factory=dict)


def read_baseline(content: Any) -> Report:
    """Return an earlier report.

    Raises:
        BaselineError: `content` is none of this version.
    """
    try:
        return Report.model_validate(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_input=False, include_url=False)[0]["loc"]))
        raise BaselineError(
            f"The earlier report is no audit report of version {VERSION}: see {place or 'its type'}. It must be what "
            "audit --format json wrote, whole."
        ) from None


def compare(before: Report, now: Report) -> Comparison:
    """Return what is different `now`.

    Raises:
        BaselineError: the reports are on different organizations, or on different parts of one.
    """
    if before.organization.id != now.organization.id or before.narrowing != now.narrowing:
        raise BaselineError(
            "The earlier report is on another organization or another part of it; only like can be compared with like. "
            "Audit the same organization, with the same integrations, spaces and sites."
        )
    gaps = _list_gaps(before), _list_gaps(now)
    differences = _Differences()
    old, new = _index(before), _index(now)
    for key in [*old, *(key for key in new if key not in old)]:
        _compare_thing(old.get(key), new.get(key), gaps, differences)
    unread = sorted(gaps[0] | gaps[1])
    found, older = _find_new(before, now)
    fixed, doubtful = _find_fixed(before, now)
    return Comparison(
        baseline=before.generatedAt,
        baselineComplete=before.coverage.complete,
        added=tuple(differences.added),
        removed=tuple(differences.removed),
        changed=tuple(differences.changed),
        newFindings=tuple(found),
        possiblyOlder=tuple(older),
        fixed=tuple(fixed),
        undecided=(*differences.undecided, *doubtful, *(f"{source}: not read whole" for source in unread)),
    )


def _list_gaps(report: Report) -> set[str]:
    return {gap.source for gap in report.coverage.gaps}


def _index(report: Report) -> dict[tuple[str, ...], Thing]:
    return {
        (thing.kind, *(value for value in thing.subject.model_dump().values() if value)): thing
        for thing in _iterate(report)
    }


def _iterate(report: Report) -> Iterator[Thing]:
    """Yield everything of a report whose coming and going is news."""
    titles = report.titles
    for installed in report.installations:
        facts = installed.integration
        own = installed.model_dump(include={"status", "spaceSelection", "siteSelection", "externalIds", "updatedAt"})
        integration = facts.model_dump(exclude={"name", "title", "categories"})
        subject = Subject(integration=facts.name, installation=installed.id)
        yield Thing("installation", subject, facts.title, own | integration, (INSTALLATIONS,))
        for level in LEVELS:
            for place in installed.spaces if level == "space" else installed.sites:
                where = subject.model_copy(update={level: place.id})
                title = f"{facts.title} on “{titles.get(place.id, place.id)}”"
                fields = _dump(place, {"status", "externalIds"})
                sources = (INSTALLATIONS, name_places(level, installed.id))
                yield Thing(f"on {level}", where, title, fields, sources)
    for space in report.spaces:
        yield Thing("space", Subject(space=space.id), space.title, _dump(space, {"title", "visibility"}), (SPACES,))
    for site in report.sites:
        fields = _dump(site, {"title", "type", "visibility", "published", "url"})
        yield Thing("site", Subject(site=site.id), site.title, fields, (SITES,))
        for script in site.scripts or ():
            where = Subject(site=site.id, script=script.url)
            fields = _dump(script, {"contentSecurityPolicy", "cookies"})
            title = f"{script.integration or script.host} on “{site.title}”"
            yield Thing("script", where, title, fields, (SITES, name_scripts(site.id)))


def _dump(part: BaseModel, names: set[str]) -> dict[str, Any]:
    return part.model_dump(include=names)


def _compare_thing(
    old: Thing | None, new: Thing | None, unread: tuple[set[str], set[str]], differences: _Differences
) -> None:
    if old is not None and new is not None:
        for name, before in old.fields.items():
            after = new.fields.get(name)
            # What one of the reports does not tell, has not changed for all that is known.
            if before != after and before is not None and after is not None:
                differences.changed.append(_tell(new, field=name, before=before, after=after))
        return
    thing = new or old
    assert thing is not None
    missed = unread[0] if new else unread[1]
    if missed.isdisjoint(thing.sources):
        (differences.added if new else differences.removed).append(_tell(thing))


def _tell(thing: Thing, **difference: Any) -> Change:
    return Change(kind=thing.kind, subject=thing.subject, title=thing.title, **difference)


def _find_new(before: Report, now: Report) -> tuple[list[str], list[str]]:
    """Return the findings that the earlier report does not have, and those of them that it could not have had."""
    # What was accepted, and is no longer, is news.
    known = {finding.id: finding.accepted for finding in before.findings}
    found = [
        finding
        for finding in now.findings
        if finding.id not in known or (known[finding.id] and finding.accepted is None)
    ]
    was_judged = _find_judged(before)
    older = [finding.id for finding in found if not was_judged(finding)]
    return [finding.id for finding in found], older


def _find_fixed(before: Report, now: Report) -> tuple[list[Finding], list[str]]:
    """Return the findings that are gone, and in words those that may still be there."""
    present, was_judged = {finding.id for finding in now.findings}, _find_judged(now)
    fixed: list[Finding] = []
    doubtful: list[str] = []
    for finding in before.findings:
        if finding.id in present:
            continue
        if was_judged(finding):
            fixed.append(finding)
        else:
            doubtful.append(f"{finding.summary}: may still be so")
    return fixed, doubtful


def _find_judged(report: Report) -> Callable[[Finding], bool]:
    """Return what tells whether a report without a finding says that there was none.

    It does where it read what that takes, and the rule judged it.
    """
    gaps, rules = _list_gaps(report), {outcome.id: outcome for outcome in report.rules}

    def was_judged(finding: Finding) -> bool:
        rule = rules.get(finding.rule)
        if rule is None or rule.outcome in {"off", "unchecked"}:
            return False
        return gaps.isdisjoint(finding.sources) and not _is_undecided(finding, rule.undecided)

    return was_judged


def _is_undecided(finding: Finding, undecided: Iterable[Any]) -> bool:
    about = finding.subject.model_dump()
    doubts = ({key: value for key, value in each.subject.model_dump().items() if value} for each in undecided)
    return any(doubt and all(about[key] == value for key, value in doubt.items()) for doubt in doubts)
