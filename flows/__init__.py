"""What runs: one package or module a flow, and in `runs` what all of them stand on."""
