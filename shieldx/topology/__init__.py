"""The graph of agents and topics, built from their declarations, and its drawings."""
