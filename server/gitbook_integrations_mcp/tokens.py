"""What text costs a model, estimated: the tables of a real tokenizer are too large to ship, so tests compare."""

CHARACTERS_PER_TOKEN = 4.3
"""Of tools as clients see them, in o200k."""

BYTES_PER_TOKEN = 2.2
"""Of answers in UTF-8: IDs and times cost more than words, and other scripts more than ours."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a tool's JSON costs."""
    return round(len(text) / CHARACTERS_PER_TOKEN)
