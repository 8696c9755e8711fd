"""What counts of right and wrong judgements say of a rule."""
