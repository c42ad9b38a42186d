"""The root of the errors that the platform expects and explains.

    PlatformError
    ├── ConfigurationError      settings: the environment asks for something that can't work
    ├── NothingToSettleError    commands: no attempt of that number waits for a person
    ├── AlreadyRunningError     main_run: another run is at work in the same folder
    ├── AdHocMatchError         commands: what was asked for can't be searched
    ├── LocalUiError            local_ui: the UI can't be started here
    ├── UnknownNameError        commands: there is no such developer or skill
    ├── UnknownMessageError     commands: there is no such message, or it has not failed
    ├── UnknownChannelError     commands: the settings have no such channel
    ├── SchemaBehindError       migrations: the database is not of this release's version
    ├── MigrationError          migrations: it can't be brought to it
    ├── EmbeddedPostgresError   clients: the embedded server can't be used
    ├── ContractError           clients: the marketplace lacks a table or column
    ├── BadRowsError            clients: rows that a table can't hold
    ├── EmbedderError           clients: the model is missing or broken
    ├── ServiceError            clients: a remote service failed; carries whether a rerun helps (`http_errors`)
    ├── MailerError             clients: the mail server can't be used
    ├── MailRefusedError        clients: a mail was refused for good
    ├── SandboxError            sandbox: the local API server can't be had
    ├── SandboxStateError       sandbox: its state can't be used
    ├── DataError               sandbox: a data folder can't be read
    ├── RatesFileError          payments: a file of exchange rates can't be loaded
    ├── MatchingInputError      matching: the tables hold something that can't be scored
    ├── RefreshBusyError        matching: another refresh of the lists is at work
    ├── UnknownPairError        matching: there is no such project or developer
    ├── ImportFileError         profiles: a file of skills or labelled samples can't be read
    ├── UnknownGroupError       monitoring: there is no such group of checks
    ├── UnusableOverrideError   bounds: there is no such number, or nothing can be set in its place
    ├── RecoveryError           monitoring: an action of recovery can't be carried out as things are
    ├── UnknownAlertError       monitoring: there is no such alert or silence, or it is no longer open
    ├── EvaluationDataError     evaluation: a labelled data set can't be read
    └── RunFileError            evaluation: results can't be written where they were asked for

The message of each says what was tried, what came back and what to do, and never contains a secret. Errors that are
values to the code that called, such as `currencies.CurrencyError`, are none of these: they set a row aside.
"""


class PlatformError(Exception):
    """An expected failure; the message is meant for the user and needs no traceback."""
