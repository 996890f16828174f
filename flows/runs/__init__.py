"""What every run of calls needs, whatever it calls."""
