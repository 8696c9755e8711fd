"""Where the stack keeps what it downloads and makes once a user."""

from pathlib import Path


def cache_folder(xdg_cache_home: str | None = None) -> Path:
    """Return the user's cache folder for ShieldX.

    `xdg_cache_home` is the value of XDG_CACHE_HOME, which the caller reads; by its specification an
    empty or relative value counts as unset.
    """
    if xdg_cache_home and Path(xdg_cache_home).is_absolute():
        return Path(xdg_cache_home) / "shieldx"
    return Path.home() / ".cache" / "shieldx"
