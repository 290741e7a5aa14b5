"""The pictures of the documentation show what the program shows now; `python -m tests.pictures` renews them."""

from pathlib import Path
from typing import Any

import pytest

from tests.pictures import IMAGES, draw_terminal, list_texts, read_texts, show_all
from tests.support.browser import needs_browser, open_browser


@needs_browser
def test_each_text_of_a_picture_is_still_on_the_page() -> None:
    shown = dict[str, list[str]]()

    def keep(driver: Any, name: str) -> None:
        shown[name] = list_texts(driver, hidden=True)

    with open_browser() as driver:
        show_all(driver, keep)
    assert {f"{name}.png" for name in shown} == {path.name for path in IMAGES.glob("*.png")}
    for name, texts in shown.items():
        assert set(read_texts(name)) <= set(texts), f"{name}.png is out of date: run python -m tests.pictures"
        assert bool(texts) == (name != "icon")


def test_the_picture_of_the_terminal_shows_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert draw_terminal() == (IMAGES / "terminal.svg").read_text(encoding="utf-8")
