"""Learning rules that are clocked by nature: compiled training loops whose networks run in the engine, spike for spike."""
