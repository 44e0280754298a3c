"""Why a trace broke, in sentences: from where on it had to, and the choice with which it would not have."""

from .scene import Explanation


def unavoidable(explanation: Explanation) -> str:
    """From which step on there was no way back; "" if that is not known."""
    number, words = explanation.unavoidable_from, explanation.unavoidable_words
    if number is None:
        return ""
    if words.startswith("from step"):
        return f"unavoidable {words}"
    return f"unavoidable after step {number}{f': {words}' if words else ''}"


def variant(explanation: Explanation) -> str:
    """The choice that would have gone well; "" if none is known."""
    number, words = explanation.variant_step, explanation.variant_words
    if number is None:
        return ""
    if words.endswith("it holds"):
        return words
    return f"it holds with another choice at step {number}{f': {words}' if words else ''}"
