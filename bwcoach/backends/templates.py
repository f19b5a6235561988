"""Chat templates: what stands around a prompt, as pieces of text of which only the template's may be special tokens.

Neither draft nor rubric text passes through Jinja, and none of it is ever read as a special token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bwcoach.backends import Prompt
from bwcoach.errors import ModelError

Template = Literal["plain", "llama-2", "own"]

# Stand for system and user while a model's own template is rendered; no template alters letters between blanks.
_SYSTEM, _USER = "bwcoachsystemplaceholder", "bwcoachuserplaceholder"


@dataclass(frozen=True)
class Segment:
    """A stretch of a rendered prompt: ordinary text, or exactly one special token by its name."""

    text: str
    special: bool = False


@dataclass(frozen=True)
class ChatTemplate:
    """A model's own Jinja template, and the names of its special tokens."""

    source: str
    specials: tuple[str, ...]
    bos: str = ""
    eos: str = ""


def render(template: Template, prompt: Prompt, chat: ChatTemplate | None = None) -> tuple[Segment, ...]:
    """A prompt up to where the model's turn begins; `prompt.answer` comes after it, tokenised by itself.

    The vocabulary's beginning-of-sequence token is put before it by whoever tokenises, unless the first segment is
    that token. `own` without a chat template is `plain`.
    """
    if template == "llama-2":
        return (Segment(_llama_2(prompt)),)
    if template == "own" and chat is not None:
        return _own(chat, prompt)
    return (Segment(f"{prompt.system}\n\n{prompt.user}" if prompt.system else prompt.user),)


def _llama_2(prompt: Prompt) -> str:
    """As Meta published it with Llama 2 (generation.py of its repository)."""
    system = f"<<SYS>>\n{prompt.system}\n<</SYS>>\n\n" if prompt.system else ""
    return f"[INST] {(system + prompt.user).strip()} [/INST]"


def _own(chat: ChatTemplate, prompt: Prompt) -> tuple[Segment, ...]:
    try:
        text = _fill(chat, _SYSTEM if prompt.system else "", _USER)
        contents = {_SYSTEM: prompt.system, _USER: prompt.user}
    except TemplateError:
        # Some templates take no system turn: what it says then goes before the user's.
        text = _fill(chat, "", _USER)
        contents = {_USER: f"{prompt.system}\n\n{prompt.user}" if prompt.system else prompt.user}
    parts = re.split(f"({'|'.join(contents)})", text)
    wanted = [name for name, content in contents.items() if content]
    if sorted(part for part in parts if part in contents) != sorted(wanted):
        raise ModelError(
            "the model's own chat template leaves out or repeats what is said to it; "
            "set `template: plain` (or llama-2) in its card."
        )
    merged: list[Segment] = []
    for part in parts:
        for segment in (Segment(contents[part]),) if part in contents else _split(part, chat.specials):
            if merged and not segment.special and not merged[-1].special:
                merged[-1] = Segment(merged[-1].text + segment.text)
            elif segment.text:
                merged.append(segment)
    return tuple(merged)


def _split(text: str, specials: tuple[str, ...]) -> Iterator[Segment]:
    """The special tokens of a template's own text, longest names first, and what stands between them."""
    names = sorted(filter(None, specials), key=len, reverse=True)
    if not names:
        yield Segment(text)
        return
    known = set(names)
    for part in re.split(f"({'|'.join(map(re.escape, names))})", text):
        yield Segment(part, part in known)


def _fill(chat: ChatTemplate, system: str, user: str) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    try:
        return environment.from_string(chat.source).render(
            messages=messages, add_generation_prompt=True, bos_token=chat.bos, eos_token=chat.eos
        )
    except TemplateError:
        if system:
            raise
        raise ModelError(
            "the model's own chat template does not take a user's turn; set `template: plain` (or llama-2) in its card."
        ) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"the model's own chat template fails ({error}); set `template: plain` (or llama-2) in its card."
        ) from None


def _refuse(message: str) -> None:
    raise TemplateError(message)
