"""Labelled traffic and rules in formats of others, as samples and rules."""
