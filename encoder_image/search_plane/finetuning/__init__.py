"""Fine-tuning: click pairs in, LoRA on a sentence-transformers model, an artefact with other weights out.

rows, files, click_index: what a click log says, row by row, and which rows can't be used.
products: ids to the texts that jobs embed. pairs: rows to (query, product, hard negatives). split: what is held out.
training, evaluation: torch. report, plot: what came of it. command: `python -m search_plane encoder finetune --help`.
"""
