"""Importers that convert labelled traffic and rules from other formats."""
