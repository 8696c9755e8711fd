"""What pages and manifests declare."""
