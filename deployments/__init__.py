"""How it gets onto a Prefect server, and what it looks like there."""
