"""The composition root: settings in, running workers out. Nothing else reads the environment or makes clients."""
