"""The services' assets and checks over the small world: real clients, a real database, faults that are injected."""
