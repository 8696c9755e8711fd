"""The graph of agents and topics, from their declarations, and its drawings."""
