"""Batch scoring, the score store, the HTTP service, the marketers' lists and their exports."""
