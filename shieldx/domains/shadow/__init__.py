"""Shadow evaluation: a detection rule judged on labelled requests before it may act. Pure: no clock, no I/O."""
