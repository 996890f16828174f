"""What one step does: Prefect tasks, and the artifacts in which they leave what they did."""
