"""What two processes must agree on: frames, codec, value heads, errors. PROTOCOL.md is normative."""
