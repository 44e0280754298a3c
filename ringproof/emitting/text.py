"""Text of a document inside source code: nothing in it can end a comment or a string.

Only printable ASCII is kept, so that no character can make a reader see other code than a compiler does.
"""

import re
import textwrap

_WIDTH = 100


def plain(text: str) -> str:
    """One line of printable ASCII; white space becomes single blanks, any other character "?"."""
    line = " ".join(text.split())
    return "".join(char if " " <= char <= "~" else "?" for char in line)


def in_c_comment(text: str) -> str:
    """One line that may stand inside a C comment: it neither ends nor begins one, nor splices lines.

    Trigraphs are broken up, too, and a backslash becomes a slash.
    """
    line = plain(text).replace("\\", "/")
    line = re.sub(r"\?(?=\?)", "? ", line)
    line = re.sub(r"\*(?=/)", "* ", line)
    return re.sub(r"/(?=\*)", "/ ", line)


def c_string(text: str) -> str:
    """A C string literal of the text."""
    line = plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
    return f'"{line}"'


def c_comment(paragraphs: list[str]) -> str:
    """A C comment of several paragraphs, folded; each is made harmless."""
    lines = ["/*"]
    for number, paragraph in enumerate(paragraphs):
        lines += [" *"] if number else []
        lines += [f" * {line}" for line in folded(in_c_comment(paragraph))]
    return "\n".join([*lines, " */"])


def python_comment(paragraphs: list[str]) -> str:
    """Lines of Python comments of several paragraphs, folded."""
    lines: list[str] = []
    for number, paragraph in enumerate(paragraphs):
        lines += ["#"] if number else []
        lines += [f"# {line}" for line in folded(plain(paragraph))]
    return "\n".join(lines)


def folded(line: str) -> list[str]:
    """A line folded to the width of a comment; at least one line."""
    return textwrap.wrap(line, _WIDTH, break_on_hyphens=False) or [""]


def name_of_test(name: str) -> str:
    """The name of a test and, with a suffix, of its file: a-z, 0-9 and _, "test_" at its head."""
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "trace"
    return found if found.startswith("test_") else f"test_{found}"
