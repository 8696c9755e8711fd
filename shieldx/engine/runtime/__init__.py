"""Workers: members of a consumer group that run tasks."""
