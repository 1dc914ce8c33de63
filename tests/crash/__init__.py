"""Real processes on one file: killed, frozen, forked and started again."""
