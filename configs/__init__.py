"""Settings and errors: what every other room may rely on."""

__version__ = "0.1.0"
