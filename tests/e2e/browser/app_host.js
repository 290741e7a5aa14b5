// A minimal host of MCP Apps on the official bridge. It shows the page in `setup.html` in a sandboxed frame, sends it the
// arguments and the result of a call, returns `setup.page` for its reads, and records its requests.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const setup = JSON.parse(document.getElementById("setup").textContent);
const noted = { messages: [], reads: [], links: [], sizes: 0 };
window.noted = noted;

const frame = document.createElement("iframe");
frame.setAttribute("sandbox", "allow-scripts");
frame.title = "app";
frame.style.cssText = "width: 100%; height: 900px; border: 0";
document.body.append(frame);

const bridge = new AppBridge(null, { name: "test-host", version: "1" }, setup.capabilities, { hostContext: { theme: setup.theme } });
window.bridge = bridge;
bridge.onreadresource = async (params) => {
    noted.reads.push(params.uri);
    return setup.page;
};
bridge.onmessage = async (params) => {
    noted.messages.push(params);
    return {};
};
bridge.onopenlink = async (params) => {
    noted.links.push(params.url);
    return {};
};
bridge.onsizechange = () => { noted.sizes += 1; };
bridge.oninitialized = async () => {
    await bridge.sendToolInput({ arguments: setup.arguments });
    await bridge.sendToolResult(setup.result);
};
await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
frame.srcdoc = setup.html;
