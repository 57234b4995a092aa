"""Just enough of Swift's grammar to see code apart from text, and where functions end."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_OPENING = re.compile(r'//|/\*|(?P<raw>#*)(?P<quote>"""|")')
_DECLARATION = re.compile(r"(?<![.\w`])(?:func\s+(?P<name>[^\s(<]+)|init|deinit|subscript)\b[?!]?")
_CONTINUATION = re.compile(r"\s*(?:\{|->|&|,|async\b|throws\b|rethrows\b|where\b)")


@dataclass(frozen=True, slots=True)
class Function:
    """A function with a body; lines count from 1."""

    name: str
    first_line: int
    last_line: int

    @property
    def line_count(self) -> int:
        """From the line of its keyword to the line of its closing brace."""
        return self.last_line - self.first_line + 1


def blanked(source: str) -> str:
    """Returns the source with comments and string literals as spaces; line breaks stay."""
    result: list[str] = []
    position = 0
    while match := _OPENING.search(source, position):
        result.append(source[position : match.start()])
        end = _end_of_text(source, match)
        result.append(re.sub(r"[^\n]", " ", source[match.start() : end]))
        position = end
    result.append(source[position:])
    return "".join(result)


def _end_of_text(source: str, opening: re.Match[str]) -> int:
    if opening[0] == "//":
        end = source.find("\n", opening.end())
        return len(source) if end < 0 else end
    if opening[0] == "/*":
        return _end_of_block_comment(source, opening.end())
    return _end_of_string(source, opening.end(), opening["quote"], opening["raw"])


def _end_of_block_comment(source: str, position: int) -> int:
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(source, position):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(source)


def _end_of_string(source: str, position: int, quote: str, raw: str) -> int:
    token = re.compile(rf"{re.escape(quote)}{raw}|\\{raw}(?P<escaped>.)", re.DOTALL)
    while match := token.search(source, position):
        if match["escaped"] is None:
            return match.end()
        position = match.end()
        if match["escaped"] == "(":
            position = _end_of_parentheses(source, position)
    return len(source)


def _end_of_parentheses(source: str, position: int) -> int:
    """Returns where the parenthesis closes that opened just before; strings inside may hold any."""
    depth = 1
    while position < len(source):
        opening = _OPENING.match(source, position)
        if opening is not None:
            position = _end_of_text(source, opening)
            continue
        depth += {"(": 1, ")": -1}.get(source[position], 0)
        position += 1
        if depth == 0:
            break
    return position


def functions(source: str) -> Iterator[Function]:
    """Finds every function, initializer, deinitializer and subscript that has a body."""
    code = blanked(source)
    for match in _DECLARATION.finditer(code):
        opening = _body(code, match.end())
        if opening is None:
            continue
        closing = _matching(code, opening)
        yield Function(
            name=match["name"] or match[0],
            first_line=code.count("\n", 0, match.start()) + 1,
            last_line=code.count("\n", 0, closing) + 1,
        )


def _body(code: str, position: int) -> int | None:
    """Returns where the body of a declaration opens; None for a requirement of a protocol."""
    depth = 0
    for index in range(position, len(code)):
        character = code[index]
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        if depth < 0:
            return None
        if depth > 0:
            continue
        if character == "{":
            return index
        if character == "}" or (character == "\n" and not _continues(code, index)):
            return None
    return None


def _continues(code: str, line_break: int) -> bool:
    before = code[:line_break].rstrip()
    return before.endswith((",", "->", "where", "&")) or bool(_CONTINUATION.match(code, line_break))


def _matching(code: str, opening: int) -> int:
    depth = 0
    for match in re.compile(r"[{}]").finditer(code, opening):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.start()
    return len(code) - 1
