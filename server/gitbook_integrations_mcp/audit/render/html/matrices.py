"""Matrices of the page: which integration has which scopes, and where it is enabled.

The marks of a row are one drawing, because a cell for each of them would make the page of a large organization slow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gitbook_integrations_api.report import InstallationFacts, Report
from gitbook_integrations_api.scopes import is_powerful
from gitbook_integrations_mcp.text import clean_text

MANY_COLUMNS = 25
"""A matrix with more columns has smaller cells."""

CELL, SMALL_CELL = 22, 14
"""Width and height of a cell in pixels."""

LONGEST_NAME = 26
"""Characters that fit the height of the names of the columns, which the template sets."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `warm` marks a scope that writes, injects scripts or signs visitors in."""

    id: str
    title: str
    warm: bool = False

    @property
    def short(self) -> str:
        """The title, cut to what fits."""
        return clean_text(self.title, LONGEST_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row. `on`, `warm` and `off` are the paths of its marks: full, full in a warm colour, and outlined."""

    title: str
    url: str | None
    integrations: str
    description: str
    on: str
    warm: str
    off: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix whose cells have `size` pixels."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    size: int

    @property
    def width(self) -> int:
        """Width of all columns in pixels."""
        return len(self.columns) * self.size


def build_scope_matrix(report: Report) -> Matrix:
    """Return the scopes of each integration, those that give power first."""
    scopes = {scope for installed in report.installations for scope in installed.integration.scopes}
    columns = [
        Column(scope, scope, is_powerful(scope))
        for scope in sorted(scopes, key=lambda one: (not is_powerful(one), one))
    ]
    size, positions = _measure(columns)

    def build_row(installed: InstallationFacts) -> Row:
        facts = installed.integration
        warm = [scope for scope in facts.scopes if is_powerful(scope)]
        return Row(
            title=facts.title,
            url=installed.app,
            integrations=facts.name,
            description=f"{facts.title}: {', '.join(facts.scopes) or 'no scopes'}",
            on=_draw((positions[scope] for scope in facts.scopes if scope not in warm), size, 2),
            warm=_draw((positions[scope] for scope in warm), size, 2),
            off="",
        )

    ranked = sorted(report.installations, key=lambda one: -sum(map(is_powerful, one.integration.scopes)))
    return Matrix(columns, [build_row(installed) for installed in ranked], size)


def build_place_matrix(report: Report) -> Matrix:
    """Return where each integration is enabled: the sites first, and of each the places with most integrations."""
    columns = [
        Column(one.integration.name, one.integration.title) for one in report.installations if one.spaces or one.sites
    ]
    size, positions = _measure(columns)
    sites = {site.id: site for site in report.sites}
    known = {space.id: space for space in report.spaces} | sites
    titles = {column.id: column.title for column in columns}
    marks: dict[str, list[tuple[str, str]]] = {}
    for installed in report.installations:
        for place in (*installed.spaces, *installed.sites):
            marks.setdefault(place.id, []).append((installed.integration.name, place.status or "unknown"))

    def build_row(identifier: str) -> Row:
        place, here = known.get(identifier), marks[identifier]
        level = "site" if identifier in sites else "space"
        title = place.title if place else identifier
        listed = ", ".join(f"{titles[name]} ({status})" for name, status in here)
        return Row(
            title=title,
            url=place.app if place else None,
            integrations=" ".join(name for name, _ in here),
            description=f"{level} {title}: {listed}",
            on=_draw((positions[name] for name, status in here if status == "active"), size, 2),
            warm="",
            off=_draw((positions[name] for name, status in here if status != "active"), size, 3),
        )

    rows = [build_row(identifier) for identifier in marks]
    order = sorted(
        zip(marks, rows, strict=True), key=lambda one: (one[0] not in sites, -len(marks[one[0]]), one[1].title)
    )
    return Matrix(columns, [row for _, row in order], size)


def _measure(columns: Sequence[Column]) -> tuple[int, Mapping[str, int]]:
    """Return the size of a cell, and the position of each column in pixels."""
    size = SMALL_CELL if len(columns) > MANY_COLUMNS else CELL
    return size, {column.id: number * size for number, column in enumerate(columns)}


def _draw(positions: Iterable[int], size: int, inset: int) -> str:
    """Return squares as the path of an SVG drawing."""
    side = size - 2 * inset
    return "".join(f"M{position + inset} {inset}h{side}v{side}h-{side}z" for position in positions)
