"""The root of the errors that the platform expects and explains.

    PlatformError
    ├── ConfigurationError      settings: the environment asks for something that can't work
    ├── EmbeddedPostgresError   clients: the embedded server can't be started
    ├── SandboxError            sandbox: the local API server can't be started
    ├── DataError               sandbox: a data folder can't be read
    ├── SchemaBehindError       migrations: the database is of another version
    ├── ContractError           clients: the marketplace lacks a table or column
    ├── BadRowsError            clients: rows that a table can't hold
    ├── ServiceError            clients: a remote service failed; carries whether a rerun helps
    └── EvaluationDataError     evaluation: a labelled data set can't be read

The message of each says what was tried, what came back and what to do, and never contains a secret.
"""


class PlatformError(Exception):
    """An expected failure; the message is meant for the user and needs no traceback."""
