"use strict";
// Shows a report (see report.schema.json). Its text comes from third parties: it is only used as text nodes and
// attributes of elements that this script creates, never as markup.

const SEVERITIES = ["high", "medium", "low"];
const MANY_COLUMNS = 25; // a matrix with more columns has smaller cells
const CELL_SIZE = 22; // pixels
const SMALL_CELL_SIZE = 14;
const MAX_SHOWN = 200; // findings, before the reader presses "Show all"
const SVG = "http://www.w3.org/2000/svg";

/** Creates an element. The first part may be an object of attributes; all other parts are children. */
function make(name, ...parts) {
    const element = ["svg", "path"].includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
    const attributes = parts[0]?.constructor === Object ? parts.shift() : {};
    for (const [key, value] of Object.entries(attributes)) {
        if (key === "onclick" || key === "oninput") {
            element[key] = value;
        } else if (value === true) {
            element.setAttribute(key, "");
        } else if (value !== false && value != null) {
            element.setAttribute(key, value);
        }
    }
    element.append(...parts.filter((child) => child != null && child !== false));
    return element;
}

const formatNumber = (number) => number.toLocaleString("en");
const formatCount = (count, noun) => `${formatNumber(count)} ${noun}${count === 1 ? "" : "s"}`;
const formatDate = (text) => (text ? text.slice(0, 10) : "");
const formatFlag = (value) => (value == null ? "unknown" : value ? "yes" : "no");

/** Returns a link if the URL is safe to follow, else plain text. */
function makeLink(text, url) {
    return url && /^https:\/\//.test(url) ? make("a", { href: url, target: "_blank", rel: "noreferrer" }, text) : text;
}

function makeSection(title, ...children) {
    const id = title.toLowerCase().replace(/\W+/g, "-");
    return make("section", { "aria-labelledby": id }, make("h2", { id }, title), ...children);
}

function makeScrollArea(label, className, table) {
    return make("div", { class: className, tabindex: "0", role: "region", "aria-label": `${label}: table` }, table);
}

/** Returns a function that shows only the rows that pass a test. */
function makeRowFilter(entries) {
    return (test) => {
        for (const { row, element } of entries) {
            element.hidden = !test(row);
        }
    };
}

/** Lookup tables for the other functions. */
function buildIndex(report) {
    const places = new Map();
    for (const space of report.spaces) {
        places.set(space.id, { ...space, level: "space" });
    }
    for (const site of report.sites) {
        places.set(site.id, { ...site, level: "site" });
    }
    const titles = new Map(report.installations.map(({ integration }) => [integration.name, integration.title]));
    const rules = new Map(report.rules.map((rule) => [rule.id, rule]));
    return { places, titles, rules };
}

/** A table with sortable columns. A column has a name, show(row), and optionally key(row) to sort by and numeric. */
function makeTable(label, columns, rows) {
    const entries = rows.map((row) => ({
        row,
        element: make("tr", ...columns.map((column) => makeCell(column, row))),
    }));
    const body = make("tbody", ...entries.map(({ element }) => element));
    const heads = columns.map((column) => {
        const head = make(
            "th",
            { scope: "col" },
            make("button", { type: "button", onclick: () => sort(column, head) }, column.name),
        );
        return head;
    });

    function makeCell(column, row) {
        const content = column.show(row);
        if (column === columns[0]) {
            return make("th", { scope: "row" }, content);
        }
        return make("td", { class: column.numeric ? "number" : null }, content);
    }

    function sort(column, head) {
        const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) {
            other.removeAttribute("aria-sort");
        }
        head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
        const getKey = column.key || column.show;
        const compare = (a, b) => {
            if (typeof a === "number") {
                return a - b;
            }
            return String(a).localeCompare(String(b), "en", { numeric: true });
        };
        const sorted = [...entries].sort((a, b) => direction * compare(getKey(a.row), getKey(b.row)));
        body.append(...sorted.map(({ element }) => element));
    }

    const table = make("table", make("thead", make("tr", ...heads)), body);
    return { element: makeScrollArea(label, "scroll", table), filter: makeRowFilter(entries) };
}

/** A matrix of rows and columns. The marks of a row are one drawing with a text alternative. */
function makeMatrix(label, corner, columns, rows) {
    const size = columns.length > MANY_COLUMNS ? SMALL_CELL_SIZE : CELL_SIZE;
    const width = columns.length * size;
    const positions = new Map(columns.map((column, position) => [column.id, position]));

    function makeColumnName(column) {
        const name = make("span", { title: column.title }, column.title);
        name.style.width = name.style.minWidth = `${size}px`;
        return name;
    }

    function drawSquares(ids, inset) {
        const side = size - 2 * inset;
        return ids.map((id) => `M${positions.get(id) * size + inset} ${inset}h${side}v${side}h-${side}z`).join("");
    }

    function makeRow(row) {
        const drawing = make(
            "svg",
            { width, height: size, role: "img", "aria-label": row.description },
            make("path", { class: "on", d: drawSquares(row.on, 2) }),
            make("path", { class: "off", d: drawSquares(row.off, 3) }),
        );
        return make(
            "tr",
            make("th", { scope: "row", title: row.title }, makeLink(row.title, row.url)),
            make("td", { title: row.description }, drawing),
        );
    }

    const names = make("div", { class: "names" }, ...columns.map(makeColumnName));
    names.style.width = `${width}px`;
    const columnsLabel = `By integration: ${columns.map(({ title }) => title).join(", ")}`;
    const head = make(
        "tr",
        make("th", { scope: "col" }, corner),
        make("th", { scope: "col", "aria-label": columnsLabel }, names),
    );
    const entries = rows.map((row) => ({ row, element: makeRow(row) }));
    const body = make("tbody", ...entries.map(({ element }) => element));
    const table = make("table", { class: "matrix" }, make("thead", head), body);
    return { element: makeScrollArea(label, "scroll tall", table), filter: makeRowFilter(entries) };
}

function makeFigures(report) {
    const { figures } = report;
    const open = SEVERITIES.reduce((sum, severity) => sum + figures.findings[severity], 0);
    const cards = [
        ["installations", figures.installations, "installations"],
        ["spaceInstallations", figures.spaceInstallations, `installations on ${formatCount(figures.spaces, "space")}`],
        ["siteInstallations", figures.siteInstallations, `installations on ${formatCount(figures.sites, "site")}`],
        ["publishedSites", figures.publishedSites, "published sites"],
        ["scripts", figures.scripts, "scripts on sites"],
        ["findings", open, "open findings"],
    ];

    function makeCard([name, value, label]) {
        const bound = figures.atLeast.includes(name) ? "≥ " : "";
        return make("li", { "data-figure": name }, make("strong", bound + formatNumber(value)), label);
    }

    return make("ul", { class: "figures" }, ...cards.map(makeCard));
}

function makeSeverities(report, choose) {
    const { findings, accepted } = report.figures;
    const most = Math.max(1, ...Object.values(findings));

    function makeBar(severity) {
        const bar = make("span", { class: "bar" });
        bar.style.width = `${(100 * findings[severity]) / most}%`;
        return make(
            "li",
            make(
                "button",
                { type: "button", class: severity, onclick: () => choose(severity), title: "Show only these" },
                severity,
                make("span", bar),
                make("span", { class: "count" }, formatNumber(findings[severity])),
            ),
        );
    }

    return makeSection(
        "Findings by severity",
        make("ul", { class: "bars" }, ...SEVERITIES.map(makeBar)),
        make(
            "p",
            { class: "hint" },
            accepted ? `${formatCount(accepted, "accepted finding")}.` : "No accepted findings.",
        ),
    );
}

function makeScopes(report) {
    const scopes = [...new Set(report.installations.flatMap(({ integration }) => integration.scopes))].sort();
    if (!scopes.length) {
        return null;
    }
    const columns = scopes.map((scope) => ({ id: scope, title: scope }));
    const rows = report.installations.map(({ integration, app }) => ({
        integrations: [integration.name],
        title: integration.title,
        url: app,
        on: integration.scopes,
        off: [],
        description: `${integration.title}: ${integration.scopes.join(", ") || "no scopes"}`,
    }));
    const matrix = makeMatrix("Scopes by integration", "Integration", columns, rows);
    return { element: makeSection("Scopes by integration", matrix.element), filter: matrix.filter };
}

function makePlaces(report, { places, titles }) {
    const marksByPlace = new Map();
    for (const { integration, spaces, sites } of report.installations) {
        for (const { id, status } of [...spaces, ...sites]) {
            if (!marksByPlace.has(id)) {
                marksByPlace.set(id, []);
            }
            marksByPlace.get(id).push({ name: integration.name, status });
        }
    }

    function buildRow([id, marks]) {
        const place = places.get(id) || { title: id, level: "place" };
        const integrations = marks.map((mark) => `${titles.get(mark.name)} (${mark.status || "unknown"})`);
        return {
            integrations: marks.map((mark) => mark.name),
            title: `${place.title}`,
            url: place.app,
            level: place.level,
            on: marks.filter((mark) => mark.status === "active").map((mark) => mark.name),
            off: marks.filter((mark) => mark.status !== "active").map((mark) => mark.name),
            description: `${place.level} ${place.title}: ${integrations.join(", ")}`,
        };
    }

    function compareRows(a, b) {
        return (
            a.level.localeCompare(b.level) ||
            b.integrations.length - a.integrations.length ||
            a.title.localeCompare(b.title)
        );
    }

    const columns = report.installations
        .filter(({ spaces, sites }) => spaces.length || sites.length)
        .map(({ integration }) => ({ id: integration.name, title: integration.title }));
    const rows = [...marksByPlace].map(buildRow).sort(compareRows);
    const matrix = makeMatrix("Where integrations are installed", "Place", columns, rows);
    const legend = make(
        "p",
        { class: "hint" },
        make("span", { class: "key full" }),
        "active ",
        make("span", { class: "key" }),
        "paused or pending. Sites come first. Spaces and sites without integrations are not shown.",
    );
    const content = rows.length ? matrix.element : make("p", "Nothing is installed on any space or site.");
    return { element: makeSection("Where integrations are installed", legend, content), filter: matrix.filter };
}

function makeFindings(report, { rules }, ask) {
    const newFindings = new Set(report.comparison?.newFindings);
    const entries = report.findings.map((finding) => ({
        finding,
        element: null,
        text: `${finding.summary} ${finding.rule} ${finding.evidence.join(" ")}`.toLowerCase(),
    }));
    const list = make("div");
    const more = make("button", { type: "button", class: "more", onclick: () => show(Infinity) }, "Show all");
    let matching = entries;

    function makeEntry(entry) {
        const { finding } = entry;
        const details = make(
            "details",
            { id: finding.id, "data-severity": finding.severity },
            make(
                "summary",
                make("span", { class: `tag ${finding.severity}` }, finding.severity),
                make("span", { class: "what" }, finding.summary),
                finding.accepted && make("span", { class: "tag good" }, "accepted"),
                newFindings.has(finding.id) && make("span", { class: "tag" }, "new"),
            ),
        );
        // Details are built when they are first opened: a report may have thousands of findings.
        entry.fill = () => {
            if (details.childElementCount === 1) {
                details.append(makeDetails(finding));
            }
        };
        details.addEventListener("toggle", entry.fill);
        return details;
    }

    function makeDetails(finding) {
        const { accepted, remedy } = finding;
        const rule = rules.get(finding.rule);
        const terms = [
            ["Finding", rule.meaning],
            ["Why it matters", rule.why],
            ["Evidence", finding.evidence.join("; ") || "none besides the finding"],
            accepted && ["Accepted", `${accepted.date}: ${accepted.reason}`],
            ["What to do", remedy.advice],
            ["Call", make("pre", `${remedy.tool} ${JSON.stringify(remedy.arguments, null, 1)}`)],
            ["ID", make("code", finding.id)],
        ];
        const items = terms.filter(Boolean).flatMap(([term, text]) => [make("dt", term), make("dd", text)]);
        const button =
            ask &&
            make(
                "button",
                { type: "button", class: "ask", onclick: () => ask(finding) },
                "Ask the assistant to look closer",
            );
        return make("div", make("dl", ...items), button && make("p", button));
    }

    function show(limit) {
        const shown = matching.slice(0, limit);
        list.replaceChildren(...shown.map((entry) => (entry.element ||= makeEntry(entry))));
        more.hidden = shown.length === matching.length;
        more.textContent = `Show all ${formatNumber(matching.length)}`;
    }

    function filter(test) {
        matching = entries.filter(test);
        show(MAX_SHOWN);
        return matching.length;
    }

    show(MAX_SHOWN);
    addEventListener("beforeprint", () => {
        show(Infinity);
        for (const entry of matching) {
            entry.fill();
            entry.element.open = true;
        }
    });
    const content = entries.length ? list : make("p", "The checked rules have no findings.");
    return { element: makeSection("Findings", content, more), filter };
}

function makeInstallations(report) {
    const formatPlaces = (places, complete, selection) =>
        `${complete ? "" : "≥ "}${places.length}${selection === "all" ? " (all)" : ""}`;
    const formatOwner = (owner) => (owner ? owner.title || owner.id : "unknown");
    const columns = [
        {
            name: "Integration",
            show: (installed) => makeLink(installed.integration.title, installed.app),
            key: (installed) => installed.integration.title,
        },
        { name: "Owner", show: ({ integration }) => formatOwner(integration.owner) },
        { name: "Visibility", show: ({ integration }) => integration.visibility || "unknown" },
        { name: "Verified", show: ({ integration }) => formatFlag(integration.verified) },
        { name: "Version", show: ({ integration }) => integration.version ?? "", numeric: true },
        { name: "Status", show: ({ status }) => status || "unknown" },
        { name: "Scopes", show: ({ integration }) => integration.scopes.length, numeric: true },
        {
            name: "Spaces",
            show: ({ spaces, spacesComplete, spaceSelection }) => formatPlaces(spaces, spacesComplete, spaceSelection),
            key: ({ spaces }) => spaces.length,
            numeric: true,
        },
        {
            name: "Sites",
            show: ({ sites, sitesComplete, siteSelection }) => formatPlaces(sites, sitesComplete, siteSelection),
            key: ({ sites }) => sites.length,
            numeric: true,
        },
        { name: "Last change", show: ({ updatedAt }) => formatDate(updatedAt) },
    ];
    const table = makeTable("Installations", columns, report.installations);
    return { element: makeSection("Installations", table.element), filter: table.filter };
}

function makeScripts(report) {
    const rows = report.sites.flatMap((site) => (site.scripts || []).map((script) => ({ site, script })));
    const unread = report.sites.filter((site) => site.scripts === null).length;
    const columns = [
        { name: "Site", show: ({ site }) => makeLink(site.title, site.app || site.url), key: ({ site }) => site.title },
        { name: "Published", show: ({ site }) => formatFlag(site.published) },
        { name: "Integration", show: ({ script }) => script.integration || "unknown" },
        { name: "Host", show: ({ script }) => script.host },
        { name: "Policy", show: ({ script }) => (script.contentSecurityPolicy ? "yes" : "no") },
        { name: "Cookies", show: ({ script }) => formatFlag(script.cookies) },
        { name: "Script", show: ({ script }) => script.url },
    ];
    const table = makeTable("Scripts", columns, rows);
    const notice =
        unread > 0 &&
        make("p", { class: "notice" }, `The scripts of ${formatCount(unread, "site")} could not be read.`);
    const content = rows.length ? table.element : make("p", "No scripts were found.");
    return { element: makeSection("Scripts on sites", notice, content), filter: table.filter };
}

function makeChanges(report) {
    const changes = report.comparison;
    if (!changes) {
        return null;
    }
    const findings = new Map(report.findings.map((finding) => [finding.id, finding]));
    const lists = [
        ["New findings", changes.newFindings.map((id) => findings.get(id)?.summary ?? id)],
        ["Fixed", changes.fixed.map((finding) => finding.summary)],
        ["Added", changes.added.map(formatChange)],
        ["Removed", changes.removed.map(formatChange)],
        ["Changed", changes.changed.map(formatChange)],
        ["Could not be compared", changes.undecided],
    ];
    const most = Math.max(1, ...lists.map(([, items]) => items.length));

    function formatChange({ kind, title, field, before, after }) {
        const formatValue = (value) => (typeof value === "string" ? value : JSON.stringify(value));
        return `${kind} ${title}` + (field ? `: ${field} ${formatValue(before)} → ${formatValue(after)}` : "");
    }

    function makeList([title, items]) {
        const bar = make("span", { class: "bar" });
        bar.style.width = `${(60 * items.length) / most}%`;
        const content = items.length ? make("ul", ...items.map((item) => make("li", item))) : make("p", "None.");
        const heading = make("span", { class: "what" }, `${title}: ${items.length}`);
        return make("details", make("summary", heading, items.length > 0 && bar), make("div", content));
    }

    const incomplete = changes.baselineComplete ? "" : ", an incomplete audit";
    const since = make("p", { class: "hint" }, `Since ${formatDate(changes.baseline)}${incomplete}.`);
    return makeSection("What changed", since, ...lists.map(makeList));
}

function makeCoverage(report) {
    const { complete, requests, seconds, gaps, lists, unavailable = [] } = report.coverage;
    const unchecked = report.rules.filter((rule) => rule.outcome !== "checked");

    function makeGap({ tool, arguments: callArguments, reason, consequence }) {
        return make("p", make("code", `${tool} ${JSON.stringify(callArguments)}`), ` ${reason} ${consequence}`);
    }

    function makeList(list) {
        const counts = [
            `${list.complete} of ${formatCount(list.lists, "list")}`,
            formatCount(list.pages, "page"),
            formatCount(list.items, "item"),
        ];
        return make("li", make("code", list.tool), ` ${counts.join(", ")}`);
    }

    const result = complete ? "Everything was read" : "Some data could not be read";
    return makeSection(
        "Coverage",
        make("p", `${result}: ${formatCount(requests, "request")} in ${seconds} s.`),
        gaps.length > 0 && make("h3", "Gaps"),
        ...gaps.map(makeGap),
        unchecked.length > 0 && make("h3", "Rules that were not fully checked"),
        unchecked.length > 0 && make("ul", ...unchecked.map((rule) => make("li", `${rule.title}: ${rule.outcome}`))),
        unavailable.length > 0 && make("h3", "Not in GitBook's API"),
        unavailable.length > 0 && make("ul", ...unavailable.map((fact) => make("li", fact))),
        make("h3", "Lists that were read"),
        make("ul", ...lists.map(makeList)),
    );
}

/** Shows a report on the page. If `ask(finding)` is given, every finding gets a button that calls it. */
function showReport(report, ask = null) {
    const index = buildIndex(report);
    const findings = makeFindings(report, index, ask);
    const installations = makeInstallations(report);
    const scripts = makeScripts(report);
    const places = makePlaces(report, index);
    const scopes = makeScopes(report);

    const search = make("input", { type: "search", id: "search", oninput: update });
    const options = [...index.titles]
        .sort((a, b) => a[1].localeCompare(b[1]))
        .map(([name, title]) => make("option", { value: name }, title));
    const select = make(
        "select",
        { id: "integration", oninput: update },
        make("option", { value: "" }, "all"),
        ...options,
    );
    const boxes = new Map(
        SEVERITIES.map((severity) => [severity, make("input", { type: "checkbox", checked: true, oninput: update })]),
    );
    const labels = SEVERITIES.map((severity) => make("label", { class: severity }, boxes.get(severity), severity));
    const counter = make("output", { "aria-live": "polite" });
    const tools = make(
        "form",
        { class: "tools", role: "search" },
        make("label", "Search", search),
        make("label", "Integration", select),
        make("fieldset", ...labels),
        counter,
    );
    tools.addEventListener("submit", (event) => event.preventDefault());

    function chooseSeverity(severity) {
        for (const [name, box] of boxes) {
            box.checked = name === severity;
        }
        update();
        findings.element.scrollIntoView();
    }

    /** Applies all filters. */
    function update() {
        const text = search.value.trim().toLowerCase();
        const chosen = select.value;
        const hasText = (value) => !text || value.toLowerCase().includes(text);
        const isChosen = (name) => !chosen || name === chosen;
        const matching = findings.filter(
            (entry) =>
                boxes.get(entry.finding.severity).checked &&
                isChosen(entry.finding.subject.integration) &&
                hasText(entry.text),
        );
        installations.filter(({ integration, status }) => {
            const { title, name, owner, scopes } = integration;
            return isChosen(name) && hasText([title, name, owner?.title, status, ...scopes].join(" "));
        });
        scripts.filter(
            ({ site, script }) =>
                isChosen(script.integration) && hasText(`${site.title} ${script.integration} ${script.url}`),
        );
        for (const matrix of [places, scopes]) {
            matrix?.filter((row) => (!chosen || row.integrations.includes(chosen)) && hasText(row.description));
        }
        counter.textContent = `${formatNumber(matching)} of ${formatCount(report.findings.length, "finding")}`;
    }

    const title = `Installation audit of ${report.organization.title || report.organization.id}`;
    const time = `${formatDate(report.generatedAt)} ${report.generatedAt.slice(11, 16)} UTC`;
    const narrowing = Object.entries(report.narrowing)
        .filter(([, names]) => names)
        .map(([level, names]) => ` Only these ${level}: ${names.join(", ")}.`);
    const notice =
        !report.coverage.complete &&
        make(
            "p",
            { class: "notice", role: "alert" },
            "This report is not complete: some data could not be read. See Coverage. Figures marked ≥ are lower bounds.",
        );
    const parts = [
        make("h1", title),
        make("p", { class: "quiet" }, `${time}, by ${report.generator}.`, ...narrowing),
        notice,
        makeFigures(report),
        make("div", { class: "charts" }, makeSeverities(report, chooseSeverity), scopes?.element),
        makeChanges(report),
        tools,
        findings.element,
        places.element,
        installations.element,
        scripts.element,
        makeCoverage(report),
    ];
    document.title = title;
    document.getElementById("report").replaceChildren(...parts.filter(Boolean));
    update();
}

const embedded = document.getElementById("data");
if (embedded) {
    showReport(JSON.parse(embedded.textContent));
}
