"""The groups of commands of `platform-assets`, and the work that belongs to no other module."""
