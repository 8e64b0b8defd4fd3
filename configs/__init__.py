"""Settings and errors: what every other room may rely on."""
