"""Replayable agents, run by faust."""
