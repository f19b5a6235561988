"""What rules do to a passage beyond replacing a phrase from a list: the operations of every rule.

Each gives every edit that it could make, and the rule injector chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from training.injectors.claims import cut_citation, cut_reason, planted_claim, unnamed_source
from training.injectors.echoes import echoed_name, echoed_word, restated
from training.injectors.edit import Edit
from training.injectors.monotony import levelled, same_opening
from training.injectors.scene import attention_seeking_tag, filtered, named_feeling, ornament
from training.injectors.slips import SLIPS
from training.injectors.terms import bare_acronym, bare_pronoun, renamed_term, unexplained_letters
from training.injectors.transitions import cut_connective, false_connective
from training.injectors.voice import hidden_agent, passive, present_for_past

Operation = Callable[[str, str, Random], Iterator[Edit]]

OPERATIONS: dict[str, tuple[Operation, ...]] = {
    "unsupported-claim": (planted_claim, cut_reason),
    "weak-transition": (false_connective, cut_connective),
    "ambiguous-reference": (bare_pronoun,),
    "undefined-acronym": (bare_acronym, unexplained_letters),
    "missing-citation": (cut_citation, unnamed_source),
    "inconsistent-terms": (renamed_term,),
    "dialogue-tags": (attention_seeking_tag,),
    "purple-prose": (ornament,),
    "filter-words": (filtered,),
    "telling": (named_feeling,),
    "tense-shift": (present_for_past,),
    "passive-voice": (passive, hidden_agent),
    "repetition": (echoed_word, echoed_name, restated),
    "monotony": (levelled, same_opening),
    "mechanics": SLIPS,
}
