"""Reports as text for people and programs: Markdown, tables, CSV, and an HTML page."""
