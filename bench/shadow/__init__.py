"""How fast rules are judged: one, many at once, all of a rule set; and how good those of a rule set are."""
