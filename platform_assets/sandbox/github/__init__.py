"""The local GitHub API: REST and GraphQL over the sandbox's state, with the real limits."""
