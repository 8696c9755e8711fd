"""A rule made ready, and the parts of a request that it looks at."""
