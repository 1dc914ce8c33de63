"""Tests of the live page of the example servers, in a browser."""
