"""What is missing for symbolic execution to say anything: each a line that names what and where."""


class Missing(Exception):  # noqa: N818 - it says what is missing
    """Something needed is absent or unknown, so nothing is proved; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class ClangMissing(Missing):
    """No pinned clang, or no LLVM library of its version, is installed."""


class ClangVersion(Missing):
    """A clang was found, but of another version than the pinned one."""


class CompilationFailed(Missing):
    """The pinned clang refused a source; the message is its first error."""


class IRVersion(Missing):
    """A text is no LLVM IR of the pinned producer, version and target."""


class Unmodelled(Missing):
    """Code does what the executor has no exact meaning for: an opcode, intrinsic, assembly or callee.

    ``what`` says it in a few words, ``place`` where: a place in the source, or none if the code has none.
    """

    def __init__(self, what: str, place: object = None) -> None:
        self.what = " ".join(what.split())
        self.place = place
        super().__init__(f"{self.what}, at {place}" if place is not None else self.what)
