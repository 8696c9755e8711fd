"""The folder for what the stack downloads and builds once per user."""

from pathlib import Path


def cache_folder(xdg_cache_home: str | None = None) -> Path:
    """Return the user's cache folder for ShieldX.

    `xdg_cache_home` is the value of XDG_CACHE_HOME, which the caller reads. Its specification treats an empty or
    relative value as unset.
    """
    if xdg_cache_home and Path(xdg_cache_home).is_absolute():
        return Path(xdg_cache_home) / "shieldx"
    return Path.home() / ".cache" / "shieldx"
