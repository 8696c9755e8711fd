"""Statistics of a rule, computed from counts of right and wrong decisions."""
