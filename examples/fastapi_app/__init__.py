"""A media server on FastAPI."""
