"""Pure: result and evidence to HTML, Markdown, JUnit."""

from __future__ import annotations

from blackstart.report.junit import junit
from blackstart.report.page import html, markdown

__all__ = ["html", "junit", "markdown"]
