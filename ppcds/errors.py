"""The one exception for what a user can mend."""


class UserError(ValueError):
    """A mistake in data, a recipe or a command. Its message names the file, line or key, and what to do.

    The tools print it as one line and end with status 1; anything else is a bug and keeps its traceback.
    """
