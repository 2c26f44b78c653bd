"""One exception per boundary. A message says what is wrong, where, and the way out; users see it alone."""


class SelfRewardError(Exception):
    """Base of every error that a user can cause or mend; printed without a traceback."""


class ConfigError(SelfRewardError):
    """A recipe, a --set or a combination of settings that cannot work."""


class SeedError(SelfRewardError):
    """Seed rows that cannot be used; the message lists every one of them."""


class TemplateError(SelfRewardError):
    """A file in prompts/ that cannot be used as a template."""


class ModelError(SelfRewardError):
    """A model that cannot be found, read or used."""


class EngineError(SelfRewardError):
    """An engine that cannot do what it was asked."""


class StoreError(SelfRewardError):
    """A run directory that cannot be read, written, locked or continued."""


class StageError(SelfRewardError):
    """A stage that ended without anything for the next one to work on."""


class TrainingError(SelfRewardError):
    """A training step that did not give a model."""


class TrackerError(SelfRewardError):
    """An experiment tracker that cannot be reached, or refuses what it is told."""


class GateError(SelfRewardError):
    """A figure that reached the limit at which the recipe stops."""


class ViewerError(SelfRewardError):
    """The web page cannot be served, or was asked for something that it does not have."""
