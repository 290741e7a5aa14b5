"""Distinguishes ES modules, older scripts and text that is no bundle, without a parser of JavaScript.

Every pattern takes linear time. Where the result is uncertain, a script counts as valid.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from typing import Literal

Runtime = Literal["v1", "v2"]

_PATH = re.compile(r"[^\n;(){}=]{1,300}\.[cm]?[jt]sx?")
_SOURCE = re.compile(
    r"^[^\S\n]*(?:export[^\S\n]+)?(?:declare[^\S\n]+\w|interface[^\S\n]+\w[^={(;\n]*\{|type[^\S\n]+\w+(?:<[^>\n]*>)?[^\S\n]*=|"
    r"(?:const[^\S\n]+)?enum[^\S\n]+\w+[^\S\n]*\{|import[^\S\n]+type[^\S\n]+[\w{]|abstract[^\S\n]+class\b)"
    r"|(?<![\w$.])(?:const|let|var)[^\S\n]+[\w$]+[^\S\n]*:|\([^\S\n]*[\w$]+(?:[^\S\n]*\?)?[^\S\n]*:"
    r"|(?:(?<![\w$.])return|=>)\s{0,200}\(?\s{0,200}<(?=[A-Za-z>])",
    re.MULTILINE,
)
"""Declarations, a typed variable, a typed first parameter and a returned element, none of which JavaScript has."""
_REFERENCE = re.compile(
    r"(?<![\w$.])(?P<statement>import|export)(?P<clause>(?:(?!(?:import|export)\b)[\w$\s{},*]){0,4000}?)"
    r"(?P<source>\bfrom\s{0,200})?(?P<quote>[\"'])(?P<module>[^\"'\n]{0,500})(?P=quote)"
)
_CHUNK = re.compile(
    r"(?<![\w$.#])import\s{0,200}\(\s{0,200}(?P<quote>[\"'`])(?P<module>\.\.?/[^\"'`$\n]{0,500})(?P=quote)"
)
"""A dynamic import of a file beside the script. A name alone is not one: libraries try to import what may be absent."""
_REQUIRE = re.compile(
    r"(?<![\w$.#])require\s{0,200}\(\s{0,200}(?P<quote>[\"'`])(?P<module>(?:\.\.?|@gitbook)/[^\"'`$\n]{0,500})(?P=quote)"
)
_OWN_REQUIRE = re.compile(r"\b(?:function|var|let|const)\s{1,200}require\b|[(,]\s{0,200}require\s{0,200}[,)=]")
"""A function of this name in the script. Older bundlers wrote one for each module."""
_EXTERNAL = re.compile(r"(?:node|cloudflare|https?|data):|//")
"""Modules that GitBook's command line leaves in a bundle, and those that esbuild does."""
_EXPORT = re.compile(r"(?<![\w$.])export(?=\s*(?:default\b|[{*]|(?:const|let|var|function|class|async)\b))")
_DEFAULT = re.compile(
    r"(?<![\w$.])export\s*(?:default\b|\{(?:[^{}]*?[\s,])??(?:as\s+)?(?:default|\"default\"|'default')\s*[,}])"
)
_LAST_EXPORT = re.compile(r"export\s*\{[^{}]*\}\s*;?(?:\s|//[^\n]*|/\*[^*]*\*/)*\Z")
_OLD_EXPORT = "__gitbook_integration"
"""The variable that GitBook's command line assigned before it built modules."""

_STRINGS = (
    r"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
    r"|\"(?:[^\"\\\n]|\\[\s\S])*(?:\"|(?=\n)|\\?\Z)|'(?:[^'\\\n]|\\[\s\S])*(?:'|(?=\n)|\\?\Z)"
)
"""Comments and strings. A string that is not closed ends with its line, or with the script."""
_OUTSIDE = re.compile(rf"{_STRINGS}|[`/]")
_INSIDE_TEMPLATE = re.compile(rf"{_STRINGS}|[`/{{}}]")
_TEMPLATE_TEXT = re.compile(r"(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{|\\?\Z)")
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*(?:\]|(?=\n)|\\?\Z))*(?:/\w*|(?=\n)|\\?\Z|\\)")
_BEFORE_REGEX = frozenset(
    "return typeof case in of delete void throw new instanceof do else yield await".split()  # noqa: SIM905
)


def find_script_problem(script: str) -> str | None:
    """Return why `script` is no bundle that GitBook can run, as a predicate, or None."""
    text = script.strip()
    if not text:
        return "is empty. Send the bundled code of the integration"
    if _PATH.fullmatch(text):
        return "is a path. Send the code that the bundler wrote, not the name of a file"
    if text.startswith("<"):
        return "is HTML or XML, not JavaScript"
    if text.startswith("```"):
        return "is Markdown, not JavaScript. Send only the code between the fences"
    modules = list(dict.fromkeys(_list_unbundled(script)))
    if modules:
        return (
            f"imports {', '.join(modules[:5])}{' and more' if len(modules) > 5 else ''}, which GitBook does not have. "
            "Send one bundle with all of its modules, as GitBook's command line builds it"
        )
    if _is_source(script):
        return "is TypeScript or JSX. Send the JavaScript that the bundler makes from it"
    if not is_module(script) and _OLD_EXPORT not in script:
        return "exports nothing, so GitBook could not run it. Send an ES module with a default export"
    if is_module(script) and not any(_begins_statement(script, one.start()) for one in _DEFAULT.finditer(script)):
        return "has no default export, so GitBook could not run it. Export what createIntegration returns as default"
    if _is_incomplete(script):
        return "ends within an open bracket, so a part of it is missing. Send the complete bundle"
    return None


def derive_runtime(script: str) -> Runtime:
    """Return the runtime that `script` needs: v2 for ES modules, v1 for what GitBook's command line built earlier."""
    return "v2" if is_module(script) else "v1"


def is_module(script: str) -> bool:
    """Whether `script` is an ES module that exports something."""
    candidates = [match.start() for match in _EXPORT.finditer(script) if _begins_statement(script, match.start())]
    if not candidates:
        return False
    if _LAST_EXPORT.match(script, candidates[-1]):
        return True
    literals = _Literals(script)
    return any(at not in literals for at in candidates) or _OLD_EXPORT not in script


def _list_unbundled(script: str) -> Iterator[str]:
    """Yield the modules that `script` imports although nobody sends them, by name if it is one."""
    literals: _Literals | None = None
    for match in _REFERENCE.finditer(script):
        at, module = match.start(), match["module"]
        imports = match["source"] or (match["statement"] == "import" and not match["clause"].strip())
        if not imports or _EXTERNAL.match(module) or not _begins_statement(script, at):
            continue
        literals = literals or _Literals(script)
        if at not in literals:
            yield _name_module(module)
    required = () if _OWN_REQUIRE.search(script) else _REQUIRE.finditer(script)
    for match in (*_CHUNK.finditer(script), *required):
        literals = literals or _Literals(script)
        if match.start() not in literals:
            yield _name_module(match["module"])


def _name_module(module: str) -> str:
    return f'"{module}"' if re.fullmatch(r"[\w@./-]{1,80}", module) else "a module"


def _is_source(script: str) -> bool:
    literals: _Literals | None = None
    for match in _SOURCE.finditer(script):
        literals = literals or _Literals(script)
        if match.end() - 1 not in literals:
            return True
    return False


def _is_incomplete(script: str) -> bool:
    """Whether brackets are open at the end of a script. A script that ends like a statement counts as complete."""
    exports = [match.start() for match in _EXPORT.finditer(script)]
    if exports and _LAST_EXPORT.match(script, exports[-1]):
        return False
    code, position = [], 0
    for start, end in _list_literals(script):
        code.append(script[position:start])
        position = end
    text = "".join([*code, script[position:]]).rstrip()
    return not text.endswith((";", "}")) and sum(map(text.count, "([{")) > sum(map(text.count, ")]}"))


def _begins_statement(script: str, at: int) -> bool:
    before = script[max(0, at - 200) : at]
    code = before.rstrip()
    return not code or "\n" in before[len(code) :] or code.endswith((";", "}", "*/"))


class _Literals:
    """The parts of a script that are no code: strings, templates, regular expressions and comments."""

    def __init__(self, script: str) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in _list_literals(script):
            self._starts.append(start)
            self._ends.append(end)

    def __contains__(self, at: int) -> bool:
        index = bisect(self._starts, at) - 1
        return index >= 0 and at < self._ends[index]


def _list_literals(script: str) -> Iterator[tuple[int, int]]:
    position = 0
    braces: list[int] = []  # open braces in each template's expression that is being read
    while match := (_INSIDE_TEMPLATE if braces else _OUTSIDE).search(script, position):
        start, symbol = match.start(), match[0]
        position = match.end()
        if symbol == "/":
            if _expects_value(script, start):
                position = _match(_REGEX, script, start)
                yield start, position
        elif symbol == "{":
            braces[-1] += 1
        elif symbol == "}" and braces[-1]:
            braces[-1] -= 1
        elif symbol in {"`", "}"}:
            if symbol == "}":
                braces.pop()
            position = _match(_TEMPLATE_TEXT, script, position)
            yield start, position
            if script.endswith("${", start, position):
                braces.append(0)
        else:
            yield start, position


def _match(pattern: re.Pattern[str], script: str, start: int) -> int:
    match = pattern.match(script, start)
    return match.end() if match else len(script)


def _expects_value(script: str, at: int) -> bool:
    """Whether a slash begins a regular expression: an operator or a keyword stands before it, and no value."""
    before = script[max(0, at - 200) : at].rstrip()
    if not before or (before[-1] not in ")]}\"'`$_" and not before[-1].isalnum()):
        return True
    word = re.search(r"[\w$]*\Z", before)
    return word is not None and word[0] in _BEFORE_REGEX
