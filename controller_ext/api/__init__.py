"""The REST API of OpenWhisk: one Flask blueprint an entity. HTTP stops here."""
