"""Measures how fast rules are judged: one, many at once, and a whole rule set; and the quality of that rule set."""
