"""Digests of JSON values, and of inline styles and scripts for a content security policy."""

import base64
import hashlib
import json
from typing import Any

_encode = json.JSONEncoder(sort_keys=True).encode


def digest_json(value: Any) -> str:
    """Return the digest of JSON `value`, independent of the order of keys."""
    return hashlib.sha256(_encode(value).encode()).hexdigest()


def csp_hash(text: str) -> str:
    """Return the source expression by which a content security policy allows exactly this style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
