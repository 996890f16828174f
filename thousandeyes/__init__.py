"""The ThousandEyes v7 API as this project uses it; Prefect is not known here."""

__version__ = "0.1.0"
