"""The stage that turns the corpora into a vocabulary and into shards of its pieces."""

from __future__ import annotations

from pathlib import Path

from bwcoach.errors import StageError
from training.corpus import Split, read_documents
from training.recipe import Recipe
from training.shards import write_shards
from training.tokenizer import SENTENCEPIECE_FILE, load_sentencepiece, train_tokenizer

SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def corpus(recipe: Recipe) -> Path:
    """Learn the vocabulary from the train split and write the shards of all splits; gives their folder.

    What is there already is kept, so a run that was stopped goes on. A vocabulary of another size than the recipe
    says is refused: everything made with it would have to be made again.
    """
    settings, folder = recipe.corpus, recipe.folder / "corpus"
    if settings is None:
        raise StageError(f"recipe {recipe.name} has no `corpus` part, so there is nothing to read.")
    tokenizer = folder / SENTENCEPIECE_FILE
    if not tokenizer.exists():
        for shard in folder.glob("*.json"):
            # Shards in pieces of a vocabulary that is gone say nothing.
            shard.unlink()
        documents = {genre: list(read_documents(path, "train")) for genre, path in settings.paths.items()}
        part = tokenizer.with_suffix(".part")
        train_tokenizer(documents, settings.vocabulary, settings.characters, recipe.seed, part)
        part.replace(tokenizer)
    size = load_sentencepiece(tokenizer).get_piece_size()
    if size != settings.vocabulary:
        raise StageError(
            f"{tokenizer} has {size} pieces, the recipe says {settings.vocabulary}; give the recipe another name, or "
            f"remove the folder {recipe.folder} to begin again."
        )
    write_shards(settings.paths, tokenizer, folder, SPLITS)
    return folder
