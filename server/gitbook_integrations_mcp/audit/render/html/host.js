"use strict";
// The page in a host of MCP Apps (extension io.modelcontextprotocol/ui, protocol 2026-01-26). The host sends the tool's
// result; the page calls the same tool for the whole report. The button of a finding asks the assistant about it.

const PROTOCOL = "2026-01-26";
const TOOL = "audit_installations";
const pending = new Map();
let lastId = 0;
let auditArguments = {};
let capabilities = {};

const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
const notify = (method, params = {}) => send({ method, params });

function request(method, params) {
    const id = ++lastId;
    send({ id, method, params });
    return new Promise((resolve, reject) => pending.set(id, { resolve, reject }));
}

function showStatus(text) {
    const status = document.createElement("p");
    status.setAttribute("role", "status");
    status.textContent = text;
    document.getElementById("report").replaceChildren(status);
}

function applyContext(context = {}) {
    if (context.theme) {
        document.documentElement.dataset.theme = context.theme;
    }
}

/** The arguments that identify the audit, without those that select a part of the report. */
function selectAuditArguments({ organizationId, integrations, spaces, sites }) {
    const selected = Object.entries({ organizationId, integrations, spaces, sites });
    return Object.fromEntries(selected.filter(([, value]) => value !== undefined));
}

async function showResult(result) {
    if (result.isError) {
        const text = result.content?.find((part) => part.type === "text")?.text;
        return showStatus(text ?? "The audit failed.");
    }
    const report = result.structuredContent?.report ?? (await readReport());
    if (report) {
        showReport(report, capabilities.message ? askAssistant : null);
    }
}

/** Reads the whole report, or shows why it cannot be read. */
async function readReport() {
    if (!capabilities.serverTools) {
        showStatus("This host does not allow the page to read the whole report. Ask the assistant about it.");
        return null;
    }
    showStatus("Reading the whole report …");
    const callArguments = { ...selectAuditArguments(auditArguments), section: "report" };
    const result = await request("tools/call", { name: TOOL, arguments: callArguments });
    const report = result.isError ? null : result.structuredContent?.report;
    if (!report) {
        showStatus("The whole report could not be read. Ask the assistant about it.");
    }
    return report;
}

function askAssistant(finding) {
    // The message is sent as the user's own, so it must not contain third-party text: only the ID of the finding.
    const text =
        `Look closer at the finding ${finding.id} of the installation audit: ` +
        "is it a problem here, and what should be done? Change nothing before I agree.";
    request("ui/message", { role: "user", content: [{ type: "text", text }] }).catch(() => {});
}

const notificationHandlers = {
    "ui/notifications/tool-input": (params) => {
        auditArguments = params.arguments ?? {};
    },
    "ui/notifications/tool-result": (result) => {
        showResult(result).catch(() => showStatus("The report could not be shown."));
    },
    "ui/notifications/tool-cancelled": () => showStatus("The audit was cancelled."),
    "ui/notifications/host-context-changed": applyContext,
};

addEventListener("message", ({ source, data }) => {
    if (source !== parent || data?.jsonrpc !== "2.0") {
        return;
    }
    if (data.method === undefined) {
        const caller = pending.get(data.id);
        pending.delete(data.id);
        if (data.error) {
            caller?.reject(new Error(data.error.message));
        } else {
            caller?.resolve(data.result);
        }
    } else if (data.id === undefined) {
        notificationHandlers[data.method]?.(data.params ?? {});
    } else if (data.method === "ui/resource-teardown" || data.method === "ping") {
        send({ id: data.id, result: {} });
    } else {
        send({ id: data.id, error: { code: -32601, message: "Method not found" } });
    }
});

// A sandboxed page cannot open links, but its host can.
addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a[href]");
    if (!anchor || !capabilities.openLinks) {
        return;
    }
    event.preventDefault();
    request("ui/open-link", { url: anchor.href }).catch(() => {});
});

new ResizeObserver(() => {
    const { scrollWidth: width, scrollHeight: height } = document.documentElement;
    notify("ui/notifications/size-changed", { width, height });
}).observe(document.documentElement);

const appInfo = { name: "gitbook-integrations-mcp", version: "1" };
request("ui/initialize", { protocolVersion: PROTOCOL, appInfo, appCapabilities: {} })
    .then((host) => {
        capabilities = host.hostCapabilities ?? {};
        applyContext(host.hostContext);
        notify("ui/notifications/initialized");
    })
    .catch(() => showStatus("The page could not connect to its host."));
