"""What a masker looks for, by name."""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """A kind of personal data or secret. docs/reference/masking.md shows each before and after."""

    CARD = "card"
    SSN = "ssn"
    EMAIL = "email"
    IBAN = "iban"
    PHONE = "phone"
    IP_ADDRESS = "ip-address"
    USER_AGENT = "user-agent"
    BEARER = "bearer"
    JWT = "jwt"
    API_KEY = "api-key"
    PEM = "pem"
    URL_USER = "url-user"
    NAMED = "named"
    """The value of a JSON key, header, query parameter or option whose name says that it is secret."""


EVERY_CATEGORY = frozenset(Category)
WITHOUT_CLIENT = EVERY_CATEGORY - {Category.IP_ADDRESS, Category.USER_AGENT}
"""For requests that detection rules judge: they need the client's address and its user agent."""
