"""The host: relay, sink, engine and containers of one machine."""
