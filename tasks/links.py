"""Addresses of pages of Prefect's UI, for what people read in it."""

from prefect.settings import PREFECT_UI_URL

from thousandeyes.text import without_userinfo


def ui_link(path: str) -> str:
    """Return the address of a page of Prefect's UI, by its path below the UI's root."""
    # Prefect's url_for knows no artifacts. Without a known address, it is relative to the root. If
    # only PREFECT_API_URL is set, the address begins as that does, perhaps with a password.
    return f"{without_userinfo(PREFECT_UI_URL.value() or '').rstrip('/')}/{path}"


def history_link(key: str) -> str:
    """Return the address of the page that lists all versions of an artifact."""
    return ui_link(f"artifacts/key/{key}")
