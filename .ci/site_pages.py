"""A hook of mkdocs: adds files of the root to the site, as pages. GitHub expects these files in the root."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that `root_pages` in mkdocs.yml names. Their links to `docs/` become links between pages."""
    for page, name in config.extra["root_pages"].items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](../")
        files.append(File.generated(config, page, content=text))
    return files
