"""What workers' metrics say of an interval: rates, latency and state, per agent and partition."""
