"""The conformance checks of stores, clocks and scanners, and what they are made of."""
