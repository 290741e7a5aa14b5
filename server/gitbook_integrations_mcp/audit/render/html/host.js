"use strict";
// The page in a host of MCP Apps (extension io.modelcontextprotocol/ui, protocol 2026-01-26). The host sends the tool's
// result; the page reads the report that it links to. The button of a finding asks the assistant about it.

const PROTOCOL = "2026-01-26";
const pending = new Map();
let lastId = 0;
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

/** Shows the report of a result, which the server has rendered: its values are escaped there. */
async function showResult(result) {
    if (result.isError) {
        const text = result.content?.find((part) => part.type === "text")?.text;
        return showStatus(text ?? "The audit failed.");
    }
    const uri = result.structuredContent?.reportUri;
    if (!uri) {
        return showStatus("This result has no page. Ask the assistant about it.");
    }
    if (!capabilities.serverResources) {
        return showStatus("This host does not allow the page to read the whole report. Ask the assistant about it.");
    }
    showStatus("Reading the whole report …");
    const { contents } = await request("resources/read", { uri });
    const page = new DOMParser().parseFromString(contents[0].text, "text/html");
    document.title = page.title;
    document.getElementById("report").replaceWith(document.adoptNode(page.getElementById("report")));
    enhance(capabilities.message ? askAssistant : null);
}

function askAssistant(identifier) {
    // The message is sent as the user's own, so it must not contain third-party text: only the ID of the finding.
    const text =
        `Look closer at the finding ${identifier} of the installation audit: ` +
        "is it a problem here, and what should be done? Change nothing before I agree.";
    request("ui/message", { role: "user", content: [{ type: "text", text }] }).catch(() => {});
}

const notificationHandlers = {
    "ui/notifications/tool-result": (result) => {
        showResult(result).catch(() => showStatus("The report could not be read. Ask the assistant about it."));
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
    const anchor = event.target.closest?.('a[href^="https:"]');
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
