"""The ground floor: what every run of calls needs, whatever it calls."""
