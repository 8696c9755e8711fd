"""Data keys of subjects, their erasure, and the requests of subjects."""
