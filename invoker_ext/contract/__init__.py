"""What controllers and invokers agree on: messages, the compiled graph, conditions, records."""
