"use strict";
// Shows a report (report.schema.json of this project). All of its text is somebody else's: it becomes text nodes and
// attributes of elements made here, never markup.

const SEVERITIES = ["high", "medium", "low"];
const CELLS = [22, 14]; // pixels of a mark in a matrix of few columns, and of many
const AT_ONCE = 200; // findings shown before somebody asks for more
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, ...children) {
    const element = name === "svg" || name === "path" ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key === "onclick" || key === "oninput" || key === "ontoggle") element[key] = value;
        else if (value === true) element.setAttribute(key, "");
        else if (value !== false && value != null) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child != null && child !== false));
    return element;
}

const plural = (count, one, many = one + "s") => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
const date = (text) => (text ? text.slice(0, 10) : "");
const yesNo = (value) => (value == null ? "unknown" : value ? "yes" : "no");

/** A link to GitBook, if there is one that a browser may follow, else plain text. */
function link(text, url) {
    return url && /^https:\/\//.test(url) ? make("a", { href: url, target: "_blank", rel: "noreferrer" }, text) : text;
}

/** What the tables and charts are made of, looked up once. */
function index(report) {
    const places = new Map();
    for (const space of report.spaces) places.set(space.id, { ...space, level: "space" });
    for (const site of report.sites) places.set(site.id, { ...site, level: "site" });
    const integrations = report.installations.map((one) => one.integration.name);
    const titles = new Map(report.installations.map((one) => [one.integration.name, one.integration.title]));
    const rules = new Map(report.rules.map((rule) => [rule.id, rule]));
    return { places, integrations, titles, rules };
}

/** A table whose columns are sorted by pressing their names. Each column: name, cell(row), sort key(row), numeric. */
function table(label, columns, rows) {
    const body = make("tbody");
    const made = rows.map((row) => ({ row, element: make("tr", {}, ...columns.map((column, number) => cell(column, row, number))) }));
    body.append(...made.map((one) => one.element));
    const heads = columns.map((column) => {
        const head = make("th", { scope: "col" }, make("button", { type: "button", onclick: () => sort(column, head) }, column.name));
        return head;
    });
    function cell(column, row, number) {
        const content = column.show(row);
        return number === 0 ? make("th", { scope: "row" }, content) : make("td", { class: column.numeric ? "number" : null }, content);
    }
    function sort(column, head) {
        const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
        const key = (one) => (column.key || column.show)(one.row);
        const order = (a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
        body.append(...[...made].sort((a, b) => direction * order(key(a), key(b))).map((one) => one.element));
    }
    const element = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}: table` },
        make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body));
    return { element, filter: (keep) => made.forEach((one) => { one.element.hidden = !keep(one.row); }) };
}

/** Marks in rows against columns: one drawing a row, which says in words what it shows. */
function matrix(label, corner, columns, rows) {
    const size = CELLS[columns.length > 25 ? 1 : 0];
    const width = columns.length * size;
    const names = make("div", { class: "names" }, ...columns.map((column) => {
        const name = make("span", { title: column.title }, column.title);
        name.style.width = name.style.minWidth = `${size}px`;
        return name;
    }));
    names.style.width = `${width}px`;
    const number = new Map(columns.map((column, position) => [column.id, position]));
    const made = rows.map((row) => {
        const square = (inset) => (id) => {
            const side = size - 2 * inset;
            return `M${number.get(id) * size + inset} ${inset}h${side}v${side}h-${side}z`;
        };
        const drawing = make("svg", { width, height: size, role: "img", "aria-label": row.words },
            make("path", { class: "on", d: row.on.map(square(2)).join("") }),
            make("path", { class: "off", d: row.off.map(square(3)).join("") }));
        const element = make("tr", {}, make("th", { scope: "row", title: row.title }, link(row.title, row.url)), make("td", { title: row.words }, drawing));
        return { row, element };
    });
    const element = make("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `${label}: table` },
        make("table", { class: "matrix" },
            make("thead", {}, make("tr", {}, make("th", { scope: "col" }, corner), make("th", { scope: "col", "aria-label": `By integration: ${columns.map((one) => one.title).join(", ")}` }, names))),
            make("tbody", {}, ...made.map((one) => one.element))));
    return { element, filter: (keep) => made.forEach((one) => { one.element.hidden = !keep(one.row); }) };
}

function section(title, ...children) {
    const heading = make("h2", {}, title);
    heading.id = title.toLowerCase().replace(/\W+/g, "-");
    return make("section", { "aria-labelledby": heading.id }, heading, ...children);
}

function showFigures(report) {
    const { figures } = report;
    const open = SEVERITIES.reduce((sum, severity) => sum + figures.findings[severity], 0);
    const cards = [
        ["installations", figures.installations, "installations"],
        ["spaceInstallations", figures.spaceInstallations, `places on ${plural(figures.spaces, "space")}`],
        ["siteInstallations", figures.siteInstallations, `places on ${plural(figures.sites, "site")}`],
        ["publishedSites", figures.publishedSites, "published sites"],
        ["scripts", figures.scripts, "scripts on sites"],
        ["findings", open, "open findings"],
    ];
    return make("ul", { class: "figures" }, ...cards.map(([name, value, words]) =>
        make("li", { "data-figure": name }, make("strong", {}, (figures.atLeast.includes(name) ? "≥ " : "") + value.toLocaleString("en")), words)));
}

function showSeverities(report, choose) {
    const { findings } = report.figures;
    const most = Math.max(1, ...Object.values(findings));
    return section("Findings by severity", make("ul", { class: "bars" }, ...SEVERITIES.map((severity) => {
        const bar = make("span", { class: "bar" });
        bar.style.width = `${(100 * findings[severity]) / most}%`;
        return make("li", {}, make("button", { type: "button", class: severity, onclick: () => choose(severity), title: "Show only these" },
            severity, make("span", {}, bar), make("span", { class: "count" }, findings[severity].toLocaleString("en"))));
    })), make("p", { class: "hint" }, report.figures.accepted ? `${plural(report.figures.accepted, "finding")} accepted.` : "None is accepted."));
}

function showScopes(report) {
    const scopes = [...new Set(report.installations.flatMap((one) => one.integration.scopes))].sort();
    if (!scopes.length) return null;
    const columns = scopes.map((scope) => ({ id: scope, title: scope }));
    const rows = report.installations.map(({ integration, app }) => ({
        integrations: [integration.name], title: integration.title, url: app, on: integration.scopes, off: [],
        words: `${integration.title}: ${integration.scopes.join(", ") || "no scopes"}`,
    }));
    const shown = matrix("Scopes by integration", "Integration", columns, rows);
    return { element: section("Scopes by integration", shown.element), filter: shown.filter };
}

function showPlaces(report, { places, titles }) {
    const held = new Map();
    for (const installed of report.installations)
        for (const place of [...installed.spaces, ...installed.sites]) {
            if (!held.has(place.id)) held.set(place.id, []);
            held.get(place.id).push({ name: installed.integration.name, status: place.status });
        }
    const columns = report.installations.filter((one) => one.spaces.length || one.sites.length)
        .map((one) => ({ id: one.integration.name, title: one.integration.title }));
    const rows = [...held].map(([id, marks]) => {
        const place = places.get(id) || { title: id, level: "place" };
        const named = marks.map((mark) => `${titles.get(mark.name)} (${mark.status || "unknown"})`);
        return {
            integrations: marks.map((mark) => mark.name), title: `${place.title}`, url: place.app, level: place.level,
            on: marks.filter((mark) => mark.status === "active").map((mark) => mark.name),
            off: marks.filter((mark) => mark.status !== "active").map((mark) => mark.name),
            words: `${place.level} ${place.title}: ${named.join(", ")}`,
        };
    }).sort((a, b) => a.level.localeCompare(b.level) || b.on.length + b.off.length - a.on.length - a.off.length || a.title.localeCompare(b.title));
    const shown = matrix("Where integrations are installed", "Place", columns, rows);
    return {
        element: section("Where integrations are installed",
            make("p", { class: "hint" }, make("span", { class: "key full" }), "active ", make("span", { class: "key" }), "paused or pending. Places with nothing installed are left out; sites come first."),
            rows.length ? shown.element : make("p", {}, "Nothing is installed on any space or site.")),
        filter: shown.filter,
    };
}

function showFindings(report, { rules }, ask) {
    const entries = report.findings.map((finding) => ({ finding, element: null, text: `${finding.summary} ${finding.rule} ${finding.evidence.join(" ")}`.toLowerCase() }));
    const list = make("div");
    const more = make("button", { type: "button", class: "more", onclick: () => show(Infinity) }, "Show all");
    let kept = entries;
    function build(entry) {
        const { finding } = entry;
        const rule = rules.get(finding.rule);
        const details = make("details", { id: finding.id, "data-severity": finding.severity },
            make("summary", {}, make("span", { class: `tag ${finding.severity}` }, finding.severity), make("span", { class: "what" }, finding.summary),
                finding.accepted && make("span", { class: "tag good" }, "accepted"),
                report.comparison && report.comparison.newFindings.includes(finding.id) && make("span", { class: "tag" }, "new")));
        const fill = () => {
            if (details.childElementCount > 1) return;
            details.append(make("div", {}, make("dl", {}, ...[
                ["Finding", rule.meaning], ["Why it matters", rule.why],
                ["Evidence", finding.evidence.length ? finding.evidence.join("; ") : "none beyond the finding itself"],
                finding.accepted && ["Accepted", `${finding.accepted.date}: ${finding.accepted.reason}`],
                ["What to do", finding.remedy.advice],
            ].filter(Boolean).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]),
            make("dt", {}, "Call"), make("dd", {}, make("pre", {}, `${finding.remedy.tool} ${JSON.stringify(finding.remedy.arguments, null, 1)}`)),
            make("dt", {}, "ID"), make("dd", {}, make("code", {}, finding.id))),
            ask && make("p", {}, make("button", { type: "button", class: "ask", onclick: () => ask(finding) }, "Ask the assistant to look closer"))));
        };
        details.addEventListener("toggle", fill);
        entry.fill = fill;
        return details;
    }
    function show(limit) {
        const shown = kept.slice(0, limit);
        list.replaceChildren(...shown.map((entry) => (entry.element ||= build(entry))));
        more.hidden = shown.length === kept.length;
        more.textContent = `Show all ${kept.length.toLocaleString("en")}`;
    }
    show(AT_ONCE);
    addEventListener("beforeprint", () => {
        show(Infinity);
        for (const entry of kept) { entry.fill(); entry.element.open = true; }
    });
    return {
        element: section("Findings", entries.length ? list : make("p", {}, "Nothing is questionable by the rules that were checked."), more),
        filter: (keep) => { kept = entries.filter(keep); show(AT_ONCE); return kept.length; },
    };
}

function showInventory(report) {
    const shown = table("Installations", [
        { name: "Integration", show: (one) => link(one.integration.title, one.app), key: (one) => one.integration.title },
        { name: "Owner", show: (one) => (one.integration.owner ? one.integration.owner.title || one.integration.owner.id : "unknown") },
        { name: "Visibility", show: (one) => one.integration.visibility || "unknown" },
        { name: "Verified", show: (one) => yesNo(one.integration.verified) },
        { name: "Version", show: (one) => one.integration.version ?? "", numeric: true },
        { name: "Status", show: (one) => one.status || "unknown" },
        { name: "Scopes", show: (one) => one.integration.scopes.length, numeric: true },
        { name: "Spaces", show: (one) => count(one.spaces, one.spacesComplete, one.spaceSelection), key: (one) => one.spaces.length, numeric: true },
        { name: "Sites", show: (one) => count(one.sites, one.sitesComplete, one.siteSelection), key: (one) => one.sites.length, numeric: true },
        { name: "Last change", show: (one) => date(one.updatedAt) },
    ], report.installations);
    return { element: section("Installations", shown.element), filter: shown.filter };
}

const count = (places, complete, selection) => `${complete ? "" : "≥ "}${places.length}${selection === "all" ? " (all)" : ""}`;

function showScripts(report) {
    const rows = report.sites.flatMap((site) => (site.scripts || []).map((script) => ({ site, script })));
    const unread = report.sites.filter((site) => site.scripts === null).length;
    const shown = table("Scripts", [
        { name: "Site", show: ({ site }) => link(site.title, site.app || site.url), key: ({ site }) => site.title },
        { name: "Published", show: ({ site }) => yesNo(site.published) },
        { name: "Integration", show: ({ script }) => script.integration || "unknown" },
        { name: "Host", show: ({ script }) => script.host },
        { name: "Policy", show: ({ script }) => (script.contentSecurityPolicy ? "yes" : "no") },
        { name: "Cookies", show: ({ script }) => yesNo(script.cookies) },
        { name: "Script", show: ({ script }) => script.url },
    ], rows);
    return {
        element: section("Scripts on sites", unread ? make("p", { class: "notice" }, `The scripts of ${plural(unread, "site")} could not be read.`) : null,
            rows.length ? shown.element : make("p", {}, "No scripts were found.")),
        filter: shown.filter,
    };
}

function showChanges(report) {
    const changes = report.comparison;
    if (!changes) return null;
    const named = new Map(report.findings.map((finding) => [finding.id, finding]));
    const lists = [
        ["New findings", changes.newFindings.map((id) => named.get(id)?.summary ?? id)], ["Fixed", changes.fixed.map((finding) => finding.summary)],
        ["Added", changes.added.map(word)], ["Removed", changes.removed.map(word)], ["Changed", changes.changed.map(word)],
        ["Could not be compared", changes.undecided],
    ];
    function word(change) {
        const value = (one) => (typeof one === "string" ? one : JSON.stringify(one));
        return `${change.kind} ${change.title}${change.field ? `: ${change.field} ${value(change.before)} → ${value(change.after)}` : ""}`;
    }
    const most = Math.max(1, ...lists.map(([, items]) => items.length));
    return section("What changed", make("p", { class: "hint" }, `Since ${date(changes.baseline)}${changes.baselineComplete ? "" : ", an audit that was not complete"}.`),
        ...lists.map(([title, items]) => {
            const bar = make("span", { class: "bar" });
            bar.style.width = `${(60 * items.length) / most}%`;
            return make("details", {}, make("summary", {}, make("span", { class: "what" }, `${title}: ${items.length}`), items.length ? bar : null),
                make("div", {}, items.length ? make("ul", {}, ...items.map((item) => make("li", {}, item))) : make("p", {}, "None.")));
        }));
}

function showCoverage(report) {
    const { coverage } = report;
    const unchecked = report.rules.filter((rule) => rule.outcome !== "checked");
    return section("Coverage",
        make("p", {}, `${coverage.complete ? "Everything was read" : "Not everything could be read"}: ${plural(coverage.requests, "request")} in ${coverage.seconds} s.`),
        coverage.gaps.length ? make("h3", {}, "What could not be read") : null,
        ...coverage.gaps.map((gap) => make("p", {}, make("code", {}, `${gap.tool} ${JSON.stringify(gap.arguments)}`), ` ${gap.reason} ${gap.consequence}`)),
        unchecked.length ? make("h3", {}, "Rules that were not checked everywhere") : null,
        unchecked.length ? make("ul", {}, ...unchecked.map((rule) => make("li", {}, `${rule.title}: ${rule.outcome}`))) : null,
        make("h3", {}, "What was read"),
        make("ul", {}, ...coverage.lists.map((list) => make("li", {}, make("code", {}, list.tool), ` ${list.complete} of ${plural(list.lists, "list")}, ${plural(list.pages, "page")}, ${plural(list.items, "item")}`))));
}

/** Puts a report on the page. `ask(finding)`, where there is an assistant to ask, makes each finding a question. */
function showReport(report, ask = null) {
    const known = index(report);
    const state = { text: "", integration: "", severities: new Set(SEVERITIES), accepted: true };
    const findings = showFindings(report, known, ask);
    const inventory = showInventory(report);
    const scripts = showScripts(report);
    const places = showPlaces(report, known);
    const scopes = showScopes(report);

    const search = make("input", { type: "search", id: "search", oninput: update });
    const integration = make("select", { id: "integration", oninput: update }, make("option", { value: "" }, "all"),
        ...[...known.titles].sort((a, b) => a[1].localeCompare(b[1])).map(([name, title]) => make("option", { value: name }, title)));
    const boxes = new Map(SEVERITIES.map((severity) => [severity, make("input", { type: "checkbox", checked: true, oninput: update })]));
    const told = make("output", { "aria-live": "polite" });
    const tools = make("form", { class: "tools", role: "search" }, make("label", {}, "Search", search), make("label", {}, "Integration", integration),
        make("fieldset", {}, ...SEVERITIES.map((severity) => make("label", { class: severity }, boxes.get(severity), severity))), told);
    tools.addEventListener("submit", (event) => event.preventDefault());

    function choose(severity) {
        for (const [name, box] of boxes) box.checked = name === severity;
        update();
        findings.element.scrollIntoView();
    }
    function update() {
        state.text = search.value.trim().toLowerCase();
        state.integration = integration.value;
        const has = (text) => !state.text || text.toLowerCase().includes(state.text);
        const of = (name) => !state.integration || name === state.integration;
        const left = findings.filter((entry) => boxes.get(entry.finding.severity).checked && of(entry.finding.subject.integration)
            && (!state.text || entry.text.includes(state.text)));
        inventory.filter((one) => of(one.integration.name)
            && has([one.integration.title, one.integration.name, one.integration.owner?.title, one.status, ...one.integration.scopes].join(" ")));
        scripts.filter(({ site, script }) => of(script.integration) && has(`${site.title} ${script.integration} ${script.url}`));
        for (const shown of [places, scopes]) shown?.filter((row) => (!state.integration || row.integrations.includes(state.integration)) && has(row.words));
        told.textContent = `${left.toLocaleString("en")} of ${plural(report.findings.length, "finding")}`;
    }

    const title = report.organization.title || report.organization.id;
    const narrowed = Object.entries(report.narrowing).filter(([, chosen]) => chosen).map(([level, chosen]) => `${level} ${chosen.join(", ")}`);
    document.title = `Installation audit of ${title}`;
    document.getElementById("report").replaceChildren(...[
        make("h1", {}, `Installation audit of ${title}`),
        make("p", { class: "quiet" }, `${date(report.generatedAt)} ${report.generatedAt.slice(11, 16)} UTC, by ${report.generator}.`, narrowed.length ? ` Confined to ${narrowed.join("; ")}.` : ""),
        report.coverage.complete ? null : make("p", { class: "notice", role: "alert" }, "This report is not complete: something could not be read. See Coverage; figures marked ≥ are lower bounds."),
        showFigures(report),
        make("div", { class: "charts" }, showSeverities(report, choose), scopes?.element ?? ""),
        showChanges(report), tools, findings.element, places.element, inventory.element, scripts.element, showCoverage(report),
    ].filter(Boolean));
    update();
}

const embedded = document.getElementById("data");
if (embedded) showReport(JSON.parse(embedded.textContent));
