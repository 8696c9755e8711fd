"""Protection of personal data: sealing, key wrapping, pseudonyms. Pure."""
