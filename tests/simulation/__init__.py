"""The threads of the library under a scheduler that can repeat what it did."""
