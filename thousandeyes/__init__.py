"""The ThousandEyes v7 API as this project uses it. Nothing here depends on Prefect."""

__version__ = "0.1.0"
