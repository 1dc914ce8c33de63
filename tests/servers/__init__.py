"""Tests of the example servers."""
