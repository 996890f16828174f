"""What runs: one flow a package, named as the flow is."""
