"use strict";
// Adds to a page that the server has rendered: filters, sorting, permalinks, and buttons that copy, download and print.

const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Copies text, or selects it in `element` where the browser does not allow that. */
async function copyText(text, button, element) {
    try {
        await navigator.clipboard.writeText(text);
        const label = button.textContent;
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = label; }, 1500);
    } catch {
        getSelection().selectAllChildren(element);
    }
}

/** Returns the verdict and what to do first as text, for a message or a ticket. */
function writeBrief() {
    const lines = [find("h1").textContent, findAll(".verdict span").map((one) => one.textContent).join(" · ")];
    for (const problem of findAll(".problems > li")) {
        lines.push("", ...findAll("h3, p, code", problem).map((one) => one.textContent.replace(/\s+/g, " ").trim()));
    }
    return lines.join("\n");
}

function download({ dataset }) {
    const value = JSON.parse(document.getElementById(dataset.source).textContent);
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const anchor = document.createElement("a");
    anchor.href = URL.createObjectURL(new Blob([text], { type: dataset.type }));
    anchor.download = dataset.name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
}

function addButtons() {
    for (const button of findAll(".copy")) {
        const code = button.previousElementSibling;
        button.hidden = false;
        button.onclick = () => copyText(code.textContent, button, code);
    }
    find(".buttons").hidden = false;
    find("#copy-brief").onclick = ({ target }) => copyText(writeBrief(), target, find("main"));
    find("#print").onclick = () => print();
    for (const button of findAll(".download")) {
        button.hidden = !document.getElementById(button.dataset.source); // a host of MCP Apps does not pass the data
        button.onclick = () => download(button);
    }
}

/** Opens the finding that the address names. */
function openTarget() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) {
        target.open = true;
        target.scrollIntoView();
    }
}

function makeSortable(table) {
    const heads = findAll("thead th", table);
    const body = find("tbody", table);

    function sort(column) {
        const direction = heads[column].getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((head) => head.removeAttribute("aria-sort"));
        heads[column].setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
        const readKey = ({ cells }) => cells[column].dataset.key ?? cells[column].textContent;
        const compare = (a, b) => readKey(a).localeCompare(readKey(b), "en", { numeric: true });
        body.append(...[...body.rows].sort((a, b) => direction * compare(a, b)));
    }

    heads.forEach((head, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = head.textContent;
        button.onclick = () => sort(column);
        head.replaceChildren(button);
    });
}

function addFilters() {
    const tools = find(".tools");
    const [search, select, counter] = [find("#search"), find("#integration"), find("output", tools)];
    const boxes = findAll("[type=checkbox]", tools);
    const findings = findAll(".finding");
    const groups = findAll(".group");
    const rows = findAll("tr[data-integrations]");
    const texts = new Map();

    function matches(element) {
        if (select.value && !element.dataset.integrations.split(" ").includes(select.value)) {
            return false;
        }
        const text = search.value.trim().toLowerCase();
        if (text && !texts.has(element)) {
            texts.set(element, element.textContent.toLowerCase());
        }
        return !text || texts.get(element).includes(text);
    }

    function update() {
        const severities = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
        for (const row of rows) {
            row.hidden = !matches(row);
        }
        for (const finding of findings) {
            finding.hidden = !severities.has(finding.dataset.severity) || !matches(finding);
        }
        for (const group of groups) {
            group.hidden = findAll(".finding", group).every((finding) => finding.hidden);
        }
        const shown = findings.filter((finding) => !finding.hidden).length;
        counter.textContent = `${shown} of ${findings.length} finding${findings.length === 1 ? "" : "s"}`;
    }

    for (const input of [search, select, ...boxes]) {
        input.oninput = update;
    }
    find("#open-all").onclick = () => findings.forEach((finding) => { finding.open = !finding.hidden; });
    tools.onsubmit = (event) => event.preventDefault();
    tools.hidden = false;
    update();
}

/** Adds everything. If `ask(id)` is given, every finding gets a button that calls it with its ID. */
function enhance(ask = null) {
    addButtons();
    addFilters();
    findAll(".sortable").forEach(makeSortable);
    for (const finding of ask ? findAll(".finding") : []) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "ask";
        button.textContent = "Ask the assistant to look closer";
        button.onclick = () => ask(finding.id);
        finding.lastElementChild.append(button);
    }
    addEventListener("hashchange", openTarget);
    openTarget();
}

if (find("#data")) {
    enhance();
}
