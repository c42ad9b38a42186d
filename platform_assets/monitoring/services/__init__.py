"""Health of the services that the platform leans on, and performance of those that answer with a model."""
