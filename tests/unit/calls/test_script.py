"""Recognizing scripts: a module, an old script, or nothing that GitBook can run."""

import pytest

from gitbook_integrations_mcp.calls.script import derive_runtime, find_script_problem

MODULES = {
    "a default export": "export default { fetch() {} };",
    "what esbuild writes": "var a = 1;\nexport {\n  a as default\n};\n",
    "what esbuild writes, minified": "var r=Object.create;export{r as default};",
    "with a map after it": "var r=1;export{r as default};\n//# sourceMappingURL=script.js.map\n",
    "with Node's modules": 'import{Buffer as b}from"node:buffer";import "cloudflare:sockets";export default b;',
    "with a module by URL": 'import x from "https://esm.example/x.js";\nexport default x;',
    "with an import in a string": 'var code = "\\nimport React from \\"react\\"";export default code;',
    "with an import in a template": 'var code = `\nimport React from "react";\n${`a${1}`}`;\nexport default code;',
    "with an import in a comment": '/*\nimport React from "react"\n*/\n// import x from "y"\nexport default 1;',
    "with an import in text after a regex": 'var r = a ? /["`]/ : 4;var t = `\nimport x from "y"`;export default t;',
    "with a dynamic import of what may be absent": 'var load = () => import("lazy");\nexport default load;',
    "with a dynamic import in a text": "var t = 'import(\"./lazy\")'; // import('./x')\nexport default t;",
    "with a method named import": 'loader.import("./lazy");\nexport default loader;',
    "with a require of what may be absent": 'try { require("fs") } catch {}\nexport default 1;',
    "with elements in texts": "var t = 'return <b>', u = `() => (<b>`, r = /return <b/; // => <b>\nexport default t;",
    "with comparisons": "var f = (a, b) => (a) <b;\nexport default (f.return <f);",
    "with a require in a text": "var t = 'require(\"./late\")'; // require('./x')\nexport default t;",
    "with a method named require": 'loader.require("./late");__require("./x");export default loader;',
    "with modules of an older bundler": 'var m={1:function(require,module){require("./a")}};export default m;',
    "with a require of its own": 'var require = n => n;require("./a");export default 1;',
    "with a dynamic import of a name that is computed": "var f = n => import(`./${n}`);export default f;",
    "with a default export among others": "var a=1,b=2;export{a as x,b as default,a as y};",
    "with a default export of another module": 'export { default } from "https://esm.example/x.js";',
    "with a default export whose name is a text": 'var a=1;export{a as "default"};',
    "with a comment in the list of exports": "var a = 1;\nexport {\n  // the integration\n  a as default,\n};",
    "with a colon after a name": "var t = '(e: Event)', u = [a ? (b) : c]; // let x: y\nexport default t;",
    "with media queries in a template": "var t = `@media (width: 1px) { ${(a)} }`;export default t;",
    "with cases and labels": "function f(a){b:switch(a){case(a):break b}}\nexport default f;",
    "with brackets in texts": "var a = '((', b = `[[`, c = /[({]/; // {{\nexport default a",
    "with types in a template": "var code = `\ninterface Reader { name: string }\n`;\nexport default code;",
    "with a parameter of an object": "var f = ({name: string}) => string;\nexport default f;",
    "that ends within a template": ";export default 1;`",
    "that ends within a string": "export default '",
    "that ends with a backslash": 'export default "\\',
    "that only looks like an old one": 'var __gitbook_integration = 1;\nexport default "x";',
}
OLD = {
    "what GitBook built before": "var __gitbook_integration=(()=>{return{default:1}})();",
    "with an export in a string": 'var __gitbook_integration = (() => "\\n;export default 1")();',
    "with an export in a template": "var __gitbook_integration = `\nexport default 1`;",
    "with an export in a property": "var __gitbook_integration = {};\nmodule.export = 1;",
}
REFUSED = {
    "": "is empty",
    " \n\t": "is empty",
    "./src/index.tsx": "is a path",
    "src/index.ts\n": "is a path",
    "C:\\work\\my integration\\script.mjs": "is a path",
    "v3.js": "is a path",
    "<!doctype html><p>404</p>": "is HTML",
    "<script>export default 1</script>": "is HTML",
    'import { createIntegration } from "@gitbook/runtime";\nexport default 1;': 'imports "@gitbook/runtime"',
    'import"react";export default 1': 'imports "react"',
    "import * as a from './a.js'\nimport b, {\n  c\n} from 'b';\nexport default a": 'imports "./a.js", "b"',
    'export * from "./integration";': 'imports "./integration"',
    'var a=1;import x from"react";export{x as default};': 'imports "react"',
    'import x from "\u202ereact";export default x': "imports a module,",
    'import x from "react" // "\n;export default x': 'imports "react"',
    "interface Reader { name: string }\nexport default 1;": "is TypeScript",
    "export type Reader = string;\nexport default 1;": "is TypeScript",
    "enum Kind { A }\nexport default Kind;": "is TypeScript",
    "export default function (name: string) { return name; }": "is TypeScript",
    "const name: string = 'x';\nexport default name;": "is TypeScript",
    "export default { fetch: (event: Event) => 1 };": "is TypeScript",
    "export default { fetch: async (r?: Request): Promise<Response> => r };": "is TypeScript",
    "export default { render() { return <block/> } };": "is TypeScript or JSX",
    "export default { render: async () => (\n  <block>a</block>\n) };": "is TypeScript or JSX",
    "```js\nexport default 1;\n```": "is Markdown",
    "export default { fetch() { return import('./chunk-AB12.js') } };": 'imports "./chunk-AB12.js"',
    "var a=1;await import( `../late.js` );export{a as default};": 'imports "../late.js"',
    'const api = require("@gitbook/runtime");\nexport default api;': 'imports "@gitbook/runtime"',
    "export default { fetch() { return require('./lib/late') } };": 'imports "./lib/late"',
    "export const handler = 1;": "has no default export",
    "var a=1;export{a as x};": "has no default export",
    'export { default as x } from "https://esm.example/x.js";': "has no default export",
    'export * from "https://esm.example/x.js";': "has no default export",
    "var defaults=1;export{defaults as _default,defaults};": "has no default export",
    "export default { fetch( { return": "ends within an open bracket",
    "export default { fetch() { return get('https://a": "ends within an open bracket",
    "//": "exports nothing",
    "console.log(1)": "exports nothing",
    "module.exports = {};": "exports nothing",
    '{"script": "export default 1"}': "exports nothing",
    "aWNvbg==": "exports nothing",
}


@pytest.mark.parametrize("name", list(MODULES))
def test_an_es_module_runs_on_v2(name: str) -> None:
    assert find_script_problem(MODULES[name]) is None
    assert derive_runtime(MODULES[name]) == "v2"


@pytest.mark.parametrize("name", list(OLD))
def test_what_gitbooks_command_line_built_before_modules_runs_on_v1(name: str) -> None:
    assert find_script_problem(OLD[name]) is None
    assert derive_runtime(OLD[name]) == "v1"


@pytest.mark.parametrize("script", list(REFUSED))
def test_what_is_no_bundle_is_refused_with_the_reason(script: str) -> None:
    assert REFUSED[script] in (find_script_problem(script) or "")


def test_only_some_of_many_modules_are_named() -> None:
    script = "".join(f'import m{number} from "m{number}";\n' for number in range(9)) + "export default m1;"
    problem = find_script_problem(script) or ""
    assert '"m4" and more' in problem
    assert "m5" not in problem


@pytest.mark.parametrize(
    "part",
    [
        "import ",
        "import" + " " * 300,
        '\\"',
        "/",
        "=/[",
        "/*",
        "( ",
        "export{",
        "`${",
        "\"'",
        "\\",
        "type A<",
        "(a" + " " * 300,
        "const a" + " " * 300,
        "import(" + " " * 300,
        "export{a as ",
    ],
)
def test_a_hostile_script_takes_linear_time(part: str) -> None:
    find_script_problem(part * 5_000 + "\nexport default 1;`")
    derive_runtime(part * 5_000 + "\nexport default 1;`")
