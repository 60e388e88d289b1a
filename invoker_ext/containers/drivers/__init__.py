"""How containers are started: one module a driver."""
