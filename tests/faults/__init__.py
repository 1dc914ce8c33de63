"""System calls that fail or never return, and power cuts, at every point of a scripted run."""
