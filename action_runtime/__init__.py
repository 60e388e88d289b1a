"""The Python action runtime: PID 1 of an action container, standard library only."""
