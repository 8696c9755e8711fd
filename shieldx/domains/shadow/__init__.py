"""Shadow evaluation: judges a detection rule on labelled requests before its deployment. Pure: no clock, no I/O."""
