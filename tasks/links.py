"""Addresses of pages of Prefect's UI, for what people read in it."""

from prefect.settings import PREFECT_UI_URL


def ui_link(path: str) -> str:
    """Return the address of a page of Prefect's UI, by its path below the UI's root."""
    # Prefect's url_for knows no artifacts. Without a known address, it is relative to the root.
    return f"{(PREFECT_UI_URL.value() or '').rstrip('/')}/{path}"


def history_link(key: str) -> str:
    """Return the address of the page that lists all versions of an artifact."""
    return ui_link(f"artifacts/key/{key}")
