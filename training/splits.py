"""Which works are trained on, and which are only measured on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache

from training.corpus import Split, split_of
from training.examples import Example
from training.injectors.forms import form_lists, load_forms

_HELD_OUT = 4


def split_of_example(work: str) -> Split:
    """About 90 % train, 5 % dev, 5 % test, decided by the work's name alone.

    A work that the corpora hold out of the base's training is held out here on the same side, so nothing that is
    tested on was ever read; a wider share is held out because authored passages are few.
    """
    narrow = split_of(work)
    if narrow != "train":
        return narrow
    bucket = int.from_bytes(hashlib.sha256(f"examples:{work}".encode()).digest()[:8], "big") % 98
    return "dev" if bucket < _HELD_OUT else "test" if bucket < 2 * _HELD_OUT else "train"


def form_held_out(form: str, share: float) -> bool:
    """Whether the form is kept from training, decided by its name alone.

    Only forms of a list are: a list has so many that what is left teaches its criterion. An operation is one form or
    a few, and is held out by name as a whole injector; an authored edit is a form that no other passage has.
    """
    if form not in _listed(form.partition("/")[0]):
        return False
    return int.from_bytes(hashlib.sha256(f"form:{form}".encode()).digest()[:4], "big") < share * 2**32


def is_held_out(example: Example, forms: float, injector: str | None) -> bool:
    """Whether the example has a form of that share of all forms, or is the work of that injector.

    An injector is named as it names itself, or, for an operation among the rules, as its forms begin:
    "weak-transition/cut".
    """
    origin = example.provenance
    if injector is not None and injector in origin.injectors:
        return True
    return any(
        form_held_out(form, forms) or (injector is not None and f"{form} ".startswith(f"{injector} "))
        for form in origin.forms
    )


def marked_if_unseen(example: Example, forms: float, injector: str | None) -> Example:
    """The example of dev or test, with the mark that `seen` reads where it has what is held out."""
    if is_held_out(example, forms, injector):
        return replace(example, provenance=replace(example.provenance, unseen=True))
    return example


def seen(example: Example) -> bool:
    """Whether all that was done to the example was also done to examples of the train split.

    Clean examples are seen. In train every example is.
    """
    return not example.provenance.unseen


@cache
def _listed(rule: str) -> frozenset[str]:
    if rule not in form_lists():
        return frozenset()
    forms = load_forms(rule)
    return frozenset([*(form.id for form in forms.forms), *(f"{rule}/{opener}" for opener in forms.openers)])
