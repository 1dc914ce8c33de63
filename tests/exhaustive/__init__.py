"""A search of every state that the rules can reach in small worlds."""
