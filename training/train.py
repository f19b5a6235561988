"""The adapter: a base learns to answer, by TRL's trainer over PEFT's LoRA, in 4 bits where the recipe says so."""

from __future__ import annotations

import json
import math
import os
import random
import re
from pathlib import Path
from typing import Any

import torch
import yaml
from datasets import Dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig

from bwcoach.errors import StageError
from bwcoach.models import CARD_FILE, ModelCard, ModelFile
from bwcoach.rubric import load_rubric
from bwcoach.tags import label_pieces
from training.examples import Example, read_examples
from training.optimizers import adapter_optimizer
from training.recipe import Recipe, TrainRecipe
from training.rows import Row, fix_rows, lines_row, refuse_long, shuffled_by_length, tags_row
from training.token_trainer import Checkpoints, Collator, TokenTrainer

ADAPTER_FOLDER = "adapter"
LOSS_FILE = "loss.jsonl"
_LLAMA_2 = re.compile(r"llama[-_ ]?2(?![0-9])", re.IGNORECASE)


def train(recipe: Recipe) -> Path:
    """Teach the adapter on runs/<name>/data/train.jsonl, from the last checkpoint if there is one; gives the folder
    that holds the adapter and its card, which `load_coach` takes."""
    settings, folder = recipe.train, recipe.folder / "train"
    base = Path(settings.base) if settings.base else recipe.folder / "pretrain" / "base"
    if not (base / "config.json").exists():
        raise StageError(f"{base}: no base model there; run `python -m training pretrain`, or name one as train.base.")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    card = new_card(recipe, base, folder, tokenizer)
    rows = refuse_long(read_rows(recipe, card, tokenizer), settings.longest)
    torch.manual_seed(recipe.seed)
    model = adapted(base, settings)
    trainer = TokenTrainer(
        model=model,
        args=_arguments(recipe, folder, len(rows)),
        train_dataset=Dataset.from_dict({"number": _order(rows, recipe)}),
        processing_class=tokenizer,
        data_collator=Collator(rows, len(card.labels)),
        optimizers=(adapter_optimizer(model, settings), None),
        callbacks=[Checkpoints(settings.checkpoint_minutes, folder / LOSS_FILE)],
    )
    trainer.ask_about(tokenizer, card, settings)
    checkpoints = sorted((folder / "checkpoints").glob("checkpoint-*"))
    trainer.train(resume_from_checkpoint=bool(checkpoints))
    if trainer.state.global_step < trainer.state.max_steps:
        raise StageError(f"{folder}: stopped after step {trainer.state.global_step}; run the same command to go on.")
    _refuse_broken(model)
    model.save_pretrained(folder / ADAPTER_FOLDER)
    tokenizer.save_pretrained(folder / ADAPTER_FOLDER)
    text = yaml.safe_dump(card.model_dump(mode="json", exclude={"folder"}, exclude_defaults=True), sort_keys=False)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")
    return folder


def new_card(recipe: Recipe, base: Path, folder: Path, tokenizer: Any) -> ModelCard:
    """What the adapter is going to be taught, as the card that every later reader of it goes by."""
    settings = recipe.train
    rubrics = [load_rubric(name) for name in settings.rubrics]
    criteria = list(dict.fromkeys(criterion for rubric in rubrics for criterion in rubric.ids))
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    nothing, *labels = label_pieces(pieces, len(criteria) + 1)
    return ModelCard(
        name=recipe.name,
        description=recipe.description,
        base=ModelFile(path=os.path.relpath(base, folder)),
        adapter=ModelFile(path=ADAPTER_FOLDER),
        context=settings.context,
        template=settings.template,
        answer=settings.answer,
        style=settings.style,
        rubrics=tuple(rubric.name for rubric in rubrics),
        labels=dict(zip(criteria, labels, strict=True)),
        nothing=nothing,
        window=settings.window,
        load_in_4bit=settings.load_in_4bit,
        folder=folder,
    )


def read_rows(recipe: Recipe, card: ModelCard, tokenizer: Any) -> list[Row]:
    """The rows of the training examples: the answer, and some fixes, of each."""
    settings, rng = recipe.train, random.Random(recipe.seed)
    rubrics = {name: load_rubric(name) for name in card.rubrics}
    row_of = tags_row if settings.answer == "tags" else lines_row
    of_llama_2 = is_llama_2(card.path(card.base))
    rows: list[Row] = []
    for example in read_examples(recipe.folder / "data" / "train.jsonl"):
        if example.rubric in rubrics:
            if not of_llama_2:
                refuse_llama_2(example)
            rubric = rubrics[example.rubric]
            rows.append(row_of(example, rubric, card, tokenizer))
            rows.extend(fix_rows(example, rubric, card, tokenizer, settings.fixes, rng))
    if not rows:
        raise StageError(f"{recipe.folder / 'data'}: no example for the rubrics {', '.join(rubrics)}; run `generate`.")
    return rows


def is_llama_2(base: Path) -> bool:
    """Whether a base's folder is of the Llama 2 family, by its name or what its config.json says it came from."""
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    # The hub's cache keeps the name in a folder further up: models--meta-llama--Llama-2-7b-hf/snapshots/<commit>.
    names = [part for part in base.resolve().parts if part.startswith("models--")]
    names += [base.name, base.resolve().name, str(config.get("_name_or_path", ""))]
    return config.get("model_type") == "llama" and any(_LLAMA_2.search(name) for name in names)


def refuse_llama_2(example: Example) -> None:
    """Its licence forbids what Llama 2 has written to improve any model but those of its own family."""
    generator = example.provenance.generator
    if _LLAMA_2.search(generator):
        raise StageError(
            f"the row {example.id} was made by {generator}, and the licence of Llama 2 forbids teaching other models "
            "with what it wrote; name a Llama 2 base as train.base, or make the rows with another generator."
        )


def adapted(base: Path, settings: TrainRecipe) -> Any:
    """The base with a new adapter on its linear layers; embeddings and head stay as they are, or no GGUF would do."""
    quantised = None
    if settings.load_in_4bit:
        bf16 = not torch.cuda.is_available() or torch.cuda.is_bf16_supported()
        quantised = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float16,
        )
    model = AutoModelForCausalLM.from_pretrained(
        base,
        quantization_config=quantised,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
    )
    if settings.load_in_4bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=torch.cuda.is_available())
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _arguments(recipe: Recipe, folder: Path, rows: int) -> SFTConfig:
    settings = recipe.train
    steps = math.ceil(rows * settings.epochs / (settings.batch * settings.accumulate))
    on_gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder / "checkpoints"),
        max_steps=steps,
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(settings.warmup_steps, steps // 4),
        weight_decay=0.0,
        max_grad_norm=1.0,
        logging_steps=20,
        save_strategy="no",
        report_to="none",
        seed=recipe.seed,
        use_cpu=not on_gpu,
        bf16=not on_gpu or torch.cuda.is_bf16_supported(),
        fp16=on_gpu and not torch.cuda.is_bf16_supported(),
        gradient_checkpointing=on_gpu and settings.load_in_4bit,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
        max_length=settings.longest,
        dataloader_drop_last=False,
        disable_tqdm=True,
    )


def _order(rows: list[Row], recipe: Recipe) -> list[int]:
    """Numbers of rows, epoch after epoch, each epoch in an order of its own."""
    epochs = range(math.ceil(recipe.train.epochs))
    return [n for epoch in epochs for n in shuffled_by_length(rows, recipe.train.batch, recipe.seed + epoch)]


def _refuse_broken(model: Any) -> None:
    """An adapter that is not finite, or did not move, is not saved."""
    moved = False
    for name, weight in model.named_parameters():
        if "lora_" in name:
            if not torch.isfinite(weight).all():
                raise StageError(f"{name} is not finite; nothing was saved. Lower the learning rate.")
            moved = moved or ("lora_B" in name and bool(weight.abs().max() > 0))
    if not moved:
        raise StageError("The adapter did not change at all; nothing was saved. Check the data and the learning rate.")
