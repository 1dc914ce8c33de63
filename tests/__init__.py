"""The tests of scanqueue, run against the installed package."""
