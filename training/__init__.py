"""Makes the model that bwcoach runs. Imports bwcoach, never the reverse."""
