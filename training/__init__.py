"""Makes the model that bwcoach runs. Imports bwcoach, never the reverse."""

# First of all imports: bwcoach keeps the libraries that come after it from reporting their use.
import bwcoach  # noqa: F401
