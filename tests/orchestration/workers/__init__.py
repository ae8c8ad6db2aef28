"""Workers that share an experiment: real processes, real faults."""
