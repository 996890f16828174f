"""What runs: one package or module per flow, and in `runs` what they all build on."""
