"""Tests of the service, as its users see it."""
