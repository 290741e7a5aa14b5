"""What text costs a model, counted with a real tokenizer."""

import json
from functools import cache
from typing import Any


@cache
def _get_encoding() -> Any:
    import bpe_openai  # reads its tables, a second that most tests need not spend

    return bpe_openai.get_encoding("o200k_base")


def count_tokens(content: Any) -> int:
    """Return how many o200k tokens `content` costs: text as it is, anything else as compact JSON."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return len(_get_encoding().encode(text))
