"""GitBook accounts of callers over HTTP: the request to link one (`links`), and the page where they do it (`page`)."""
