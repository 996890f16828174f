"""What one step does: Prefect tasks, and the artifacts that record it."""
