"""Models of the content files, with errors that name file and line."""
