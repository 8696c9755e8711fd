"""Reports of evaluations in words, in tables and as a page."""
