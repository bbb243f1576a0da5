"""Pure: result and evidence to HTML, Markdown, JUnit, JSON."""
