"""The errors a user can cause and mend. Every other exception is a defect of ours."""


class BwcoachError(Exception):
    """Shown to the user as it stands: where, what, and what would have worked."""


class RubricError(BwcoachError):
    """A rubric file that cannot be used."""


class DraftError(BwcoachError):
    """A draft that cannot be read."""


class ModelError(BwcoachError):
    """A model whose files are missing, broken, or made for something else."""


class BackendError(BwcoachError):
    """A model that was loaded and then failed to answer."""


class RecipeError(BwcoachError):
    """A recipe that says something no stage understands."""


class CorpusError(BwcoachError):
    """A corpus that cannot be read."""


class ExamplesError(BwcoachError):
    """Training or evaluation examples that cannot be used."""


class StageError(BwcoachError):
    """A training stage that cannot go on with what it was given."""
