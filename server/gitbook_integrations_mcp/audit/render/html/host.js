"use strict";
// Inside a host of MCP Apps (extension io.modelcontextprotocol/ui, protocol 2026-01-26): the tool's result comes by the
// host's messages, and the whole report behind it by a call of the same tool; pressing a finding asks the assistant.

const PROTOCOL = "2026-01-26";
const TOOL = "audit_installations";
const answers = new Map();
let calls = 0;
let given = {}; // the arguments that the assistant audited with
let abilities = {};

const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
const notify = (method, params = {}) => send({ method, params });

function request(method, params) {
    const id = ++calls;
    send({ id, method, params });
    return new Promise((resolve, reject) => answers.set(id, { resolve, reject }));
}

function tell(text) {
    const status = document.createElement("p");
    status.setAttribute("role", "status");
    status.textContent = text;
    document.getElementById("report").replaceChildren(status);
}

function adopt(context = {}) {
    if (context.theme) document.documentElement.dataset.theme = context.theme;
}

/** Of the arguments, what says which audit it is; section and page only chose what the assistant read of it. */
function name({ organizationId, integrations, spaces, sites }) {
    return Object.fromEntries(Object.entries({ organizationId, integrations, spaces, sites }).filter(([, value]) => value !== undefined));
}

async function show(result) {
    if (result.isError) return tell(result.content?.find((part) => part.type === "text")?.text ?? "The audit failed.");
    let report = result.structuredContent?.report;
    if (!report) {
        if (!abilities.serverTools) return tell("This host does not let the page read the whole report; the assistant can.");
        tell("Reading the whole report …");
        const whole = await request("tools/call", { name: TOOL, arguments: { ...name(given), section: "report" } });
        if (whole.isError || !whole.structuredContent?.report) return tell("The whole report could not be read; the assistant can tell what it knows.");
        report = whole.structuredContent.report;
    }
    showReport(report, abilities.message ? ask : null);
}

function ask(finding) {
    // Said in the name of the human, so nobody else's words may be in it: the assistant finds those by the ID.
    const text = `Look closer at the finding ${finding.id} of the installation audit: is it a problem here, and what should be done? Change nothing before I agree.`;
    request("ui/message", { role: "user", content: [{ type: "text", text }] }).catch(() => {});
}

const heard = {
    "ui/notifications/tool-input": ({ arguments: chosen }) => { given = chosen ?? {}; },
    "ui/notifications/tool-result": (result) => show(result).catch(() => tell("The report could not be shown.")),
    "ui/notifications/tool-cancelled": () => tell("The audit was cancelled."),
    "ui/notifications/host-context-changed": adopt,
};

addEventListener("message", ({ source, data }) => {
    if (source !== parent || data?.jsonrpc !== "2.0") return;
    if (data.method === undefined) {
        const waiting = answers.get(data.id);
        answers.delete(data.id);
        if (data.error) waiting?.reject(new Error(data.error.message));
        else waiting?.resolve(data.result);
    } else if (data.id === undefined) heard[data.method]?.(data.params ?? {});
    else if (data.method === "ui/resource-teardown" || data.method === "ping") send({ id: data.id, result: {} });
    else send({ id: data.id, error: { code: -32601, message: "Method not found" } });
});

// A sandboxed page cannot open links by itself; the host can.
addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a[href]");
    if (!anchor || !abilities.openLinks) return;
    event.preventDefault();
    request("ui/open-link", { url: anchor.href }).catch(() => {});
});

new ResizeObserver(() => {
    const { scrollWidth: width, scrollHeight: height } = document.documentElement;
    notify("ui/notifications/size-changed", { width, height });
}).observe(document.documentElement);

request("ui/initialize", { protocolVersion: PROTOCOL, appInfo: { name: "gitbook-integrations-mcp", version: "1" }, appCapabilities: {} })
    .then((host) => {
        abilities = host.hostCapabilities ?? {};
        adopt(host.hostContext);
        notify("ui/notifications/initialized");
    })
    .catch(() => tell("The host did not take this page up."));
