"""How other flows use this: each file is short, and runs."""
