"""What text costs a model, estimated: the tables of a real tokenizer are too large to ship, so tests compare."""

_CHARACTERS_PER_TOKEN = 4.3
"""Of tools as clients see them, in o200k, whose words are schemas' and all known."""

_LOWER = bytes(range(ord("a"), ord("z") + 1)) + b" "
_UPPER = bytes(range(ord("A"), ord("Z") + 1))
_DIGITS = b"0123456789"
_BEYOND = bytes(range(128, 256))


def estimate_tool(json: str) -> int:
    """Return about how many tokens the JSON of a tool costs."""
    return round(len(json) / _CHARACTERS_PER_TOKEN)


def estimate_answer(json: bytes) -> float:
    """Return about how many tokens an answer costs, as compact JSON in UTF-8.

    Words are cheap, IDs and times are dear, so what counts is of which kind the bytes are. Of lists it is within a
    fifth of the truth, above it rather than below.
    """
    lower, upper, digits, beyond = (
        len(json) - len(json.translate(None, kind)) for kind in (_LOWER, _UPPER, _DIGITS, _BEYOND)
    )
    other = len(json) - lower - upper - digits - beyond
    return 0.17 * lower + 1.2 * upper + 0.48 * digits + 0.3 * beyond + 0.53 * other
