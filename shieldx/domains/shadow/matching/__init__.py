"""Compiled rules, and the parts of a request that they look at."""
