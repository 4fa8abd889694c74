"""SQLite behind the services' storage port: data directory, sealing, schema, one writer thread, typed rows."""
