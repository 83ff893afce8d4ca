r"""A lexicon of synonyms: move them together before training, and keep them together in it.

    python recipes/lexicon.py --vectors glove.6B.100d.txt --data DIR --lexicon synonyms.txt \
        --word-pairs EN-SIMLEX-999.tsv
    python recipes/lexicon.py --smoke

Prints how well the vectors agree with human similarity scores (Spearman's correlation) as they are
and after `fe.retrofit`, then the test accuracy on SST-2 of a model over both. Each line of the
lexicon is a word and its synonyms.

With GloVe 6B 100d and the synonyms of WordNet 3.0: 0.298 and 0.359 on SimLex-999; test accuracy, 3
seeds, 85.3% ± 0.5 and 85.4% ± 0.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from common import over_seeds, read_options

import finetune_embed as fe

LEXICON = {"good": ["great", "fine"], "bad": ["awful", "poor"], "king": ["queen"]}
PAIRS = [("good", "great", 9.0), ("good", "bad", 2.0), ("king", "queen", 8.0)]


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Print and return the test accuracy over the vectors before and after retrofitting."""
    options = read_options(
        __doc__,
        arguments,
        lexicon="a word and its synonyms a line",
        word_pairs="two words and a score a line",
    )
    path, pairs = options.more["lexicon"], options.more["word_pairs"]
    plain = fe.load_vectors(options.vectors)
    lexicon = LEXICON if path is None else fe.read_lexicon(path)
    tables = {"plain": plain, "retrofitted": fe.retrofit(plain, lexicon)}
    found = {}
    for name, table in tables.items():
        print(name, fe.evaluate_word_pairs(table, pairs or PAIRS))

        def accuracy(seed: int, table: fe.EmbeddingTable = table) -> float:
            run = fe.finetune(table, options.folder("sst2"), epochs=options.epochs, seed=seed)
            return float(run.metrics["test"]["accuracy"])

        found[name] = over_seeds(f"{name}: test accuracy", options, accuracy)
    return found


if __name__ == "__main__":
    main()
