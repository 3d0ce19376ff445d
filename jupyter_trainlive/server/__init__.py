"""The server extension: wiring, handlers and streams. What is known of jobs lives in `jobs`."""
