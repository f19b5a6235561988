"""Examples out of authored passages: several versions of each, any subset of its edits being one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

from bwcoach.errors import StageError
from bwcoach.rubric import load_rubric
from training.corpus import Split
from training.examples import Example
from training.injectors.authored import AuthoredPassage, read_authored
from training.leaks import HeldOutTexts, KeptApart
from training.recipe import GenerateRecipe
from training.splits import split_of_example


class AuthoredExamples:
    """The authored passages of the recipe's rubrics; none where it names no folder of them.

    `unused` counts parts of them that could not be used, by reason.
    """

    def __init__(self, settings: GenerateRecipe, seed: int) -> None:
        self._settings, self._seed = settings, seed
        self._passages: tuple[AuthoredPassage, ...] = ()
        self.unused: Counter[str] = Counter()
        if settings.authored is not None:
            rubrics = {load_rubric(rubric).name for rubric in settings.rubrics}
            passages, self.unused = read_authored(settings.authored, seed)
            self._passages = tuple(passage for passage in passages if passage.good.rubric in rubrics)

    def rows(self, split: Split, kept_apart: KeptApart, held_out: HeldOutTexts | None) -> Iterator[Example]:
        """The versions of all passages of a split.

        Raises StageError at one that shares text with an evaluation file, or that is nearly the same as a text
        `held_out`: who wrote it has to say what should go.
        """
        for passage in self._of(split):
            whole = self._settings.authored_whole_versions if passage.good.whole else None
            # A generator of its own: a passage's versions do not depend on the passages before it.
            rng = Random(f"{self._seed}:{passage.good.id}")
            for example in passage.versions(whole or self._settings.authored_versions, rng):
                source = example.provenance.source
                if run := kept_apart.shared(example.text):
                    raise StageError(
                        f"example {example.id} shares “{run}” with an evaluation file; leave its source ({source}) "
                        "out of the texts to train on."
                    )
                if held_out is not None and held_out.holds(example.text):
                    raise StageError(
                        f"example {example.id} of train is nearly the same as one of dev or test; leave one of them "
                        f"out, or give both one source (this one's is {source})."
                    )
                yield example

    def places(self) -> dict[str, int]:
        """How many different places of each criterion the passages of train have."""
        edits = Counter(f"{p.good.rubric}/{edit.criterion}" for p in self._of("train") for edit in p.edits)
        return dict(sorted(edits.items()))

    def _of(self, split: Split) -> Iterator[AuthoredPassage]:
        return (passage for passage in self._passages if split_of_example(passage.work) == split)
