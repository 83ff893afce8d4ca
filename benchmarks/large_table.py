"""What tuning a table much larger than memory should hold costs in memory, stage by stage.

python benchmarks/large_table.py [folder] [--rows 2000000] [--size 300]

Makes a table of random vectors as a safetensors file (2.4 GB), and reviews-like texts of a
vocabulary of 30,000 words with two classes; tunes in a fresh process with two threads, by
`finetune` and then by hand; and looks at every row of what was exported. Memory is anonymous memory
(RssAnon of /proc/<pid>/status, so on Linux only), sampled every 10 ms from outside, above what the
process had after `import torch`; pages of the memory-mapped file are the system's to drop and don't
count.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

BOUND = 1000  # MB above torch
BLOCK = 1 << 15
VOCABULARY, LACKING = 30_000, 500  # words of the texts; those of them that the table lacks
TEXTS, LENGTH, HELD_OUT = 20_000, 40, 1_000
#: Runs a script of which torch is imported first, by itself, with two threads.
TORCH_FIRST = """
import runpy, sys, time, torch
torch.set_num_threads(2)
print("stage torch", flush=True)
time.sleep(0.2)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ANONYMOUS = re.compile(rb"RssAnon:\s+(\d+) kB")


def word(number: int) -> str:
    """Return a word of small letters for a number."""
    letters = ""
    while number or not letters:
        number, digit = divmod(number, 26)
        letters = chr(ord("a") + digit) + letters
    return "q" + letters


def words_of(rows: int) -> tuple[list[str], list[str]]:
    """Return the words of the table, and those of the texts: spread over it, some not in it."""
    table = [word(number) for number in range(rows)]
    step = max(1, rows // VOCABULARY)
    some = table[::-step][: VOCABULARY - LACKING]
    return table, some + [f"zz{word(number)}" for number in range(LACKING)]


def make_table(path: Path, rows: int, size: int) -> None:
    """Write the table, block by block."""
    import finetune_embed as fe

    raw = path.with_suffix(".npy")
    vectors = np.lib.format.open_memmap(raw, "w+", np.float32, (rows, size))
    random = np.random.default_rng(0)
    for start in range(0, rows, BLOCK):
        vectors[start : start + BLOCK] = random.standard_normal(
            vectors[start : start + BLOCK].shape, np.float32
        )
    fe.save_safetensors(fe.EmbeddingTable(words_of(rows)[0], vectors), path)
    raw.unlink()


def make_texts(folder: Path, rows: int) -> None:
    """Write training and validation texts; the latter have words that training never sees."""
    folder.mkdir()
    words = words_of(rows)[1]
    seen, unseen = words[: VOCABULARY - LACKING - 1_000], words[-LACKING - 1_000 : -LACKING]
    seen += words[-LACKING:]
    random = np.random.default_rng(1)
    chance = 1 / np.arange(1, len(seen) + 1)
    for name, count in (("train", TEXTS), ("validation", HELD_OUT)):
        labels = random.integers(0, 2, count)
        drawn = random.choice(len(seen), (count, LENGTH), p=chance / chance.sum())
        typical = random.random((count, LENGTH)) < 0.1  # words of one class, 100 for each
        drawn[typical] = (random.integers(0, 100, (count, LENGTH)) + 100 * labels[:, None])[typical]
        if name == "train":  # every word once
            drawn.reshape(-1)[-len(seen) :] = random.permutation(len(seen))
        with open(folder / f"{name}.jsonl", "w") as file:
            for row, label in zip(drawn.tolist(), labels.tolist(), strict=True):
                text = [seen[at] for at in row]
                if name != "train":
                    text[0] = unseen[row[0] % len(unseen)]
                file.write(json.dumps({"text": " ".join(text), "label": label}) + "\n")


def stage(name: str) -> None:
    """Print the name of the next stage for the process that measures."""
    print(f"stage {name}", flush=True)


def by_finetune(folder: Path) -> None:
    """Tune, export and predict in three calls."""
    import finetune_embed as fe

    stage("finetune and export")
    fe.finetune(
        folder / "big.safetensors",
        folder / "texts",
        head="bag",
        epochs=1,
        output_dir=folder / "run",
    )
    stage("load")
    run = fe.load(folder / "run")
    stage("predict")
    text = " ".join(words_of(100_000)[0][:50])
    run.predict([text] * 100)


def by_hand(folder: Path) -> None:
    """Do the same step by step, and write word2vec binary too."""
    stage("imports")
    import torch
    from datasets import load_dataset
    from torch.utils.data import DataLoader

    import finetune_embed as fe

    stage("load_vectors")
    table = fe.load_vectors(folder / "big.safetensors")
    stage("Vocabulary")
    train = load_dataset("json", data_files=str(folder / "texts/train.jsonl"), split="train")
    vocab = fe.Vocabulary.from_dataset(train, "text")
    stage("to_embedding")
    embedding = fe.to_embedding(table, vocab, sparse=True)
    stage("tune")
    model = fe.BagOfEmbeddings(embedding, num_labels=2)
    encoded = fe.encode(train, vocab)
    loader = DataLoader(encoded, 64, shuffle=True, collate_fn=fe.collate_padded)
    strategy = fe.FullTune()
    optimizer = fe.RowAdamW(strategy.param_groups(model, embedding, lr=5e-3))
    for ids, lengths, labels in loader:
        loss = torch.nn.functional.cross_entropy(model(ids, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.flush()
    stage("to_table")
    tuned = fe.to_table(embedding, vocab, like=table)
    stage("drift")
    report = fe.drift(table, tuned)
    stage("print(drift)")
    str(report)
    stage("save_safetensors")
    fe.save_safetensors(tuned, folder / "tuned.safetensors")
    stage("save_word2vec, binary")
    fe.save_word2vec(tuned, folder / "tuned.bin", binary=True)


def anonymous(pid: int) -> float:
    """Return the anonymous memory of a process in MB; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return 0.0
    found = ANONYMOUS.search(status)
    return int(found[1]) / 1000 if found else 0.0


def measure(how: str, folder: Path) -> float:
    """Run one way in a process of its own, print its stages, return the peak above torch."""
    command = [sys.executable, "-c", TORCH_FIRST, __file__, str(folder), "--work", how]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stages: list[tuple[str, float]] = [("start", time.perf_counter())]
    peaks = [0.0]

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("stage "):
                peaks.append(0.0)
                stages.append((line.removeprefix("stage ").strip(), time.perf_counter()))

    listener = threading.Thread(target=listen)
    listener.start()
    while process.poll() is None:
        peaks[len(stages) - 1] = max(peaks[len(stages) - 1], anonymous(process.pid))
        time.sleep(0.01)
    listener.join()
    if process.returncode:
        raise SystemExit(f"{how} ended with exit code {process.returncode}")
    stages.append(("end", time.perf_counter()))
    torch_alone = peaks[1]
    print(f"\n{how}: import torch alone has {torch_alone:.0f} MB of anonymous memory")
    for number, peak in enumerate(peaks[2:], 2):
        name, started = stages[number]
        seconds = stages[number + 1][1] - started
        print(f"  {name:<24}{seconds:8.1f} s{peak - torch_alone:8.0f} MB above it")
    return max(peaks) - torch_alone


def check(base: Path, tuned: Path, rows: int) -> None:
    """Compare every row of the export with the base, bit for bit."""
    import finetune_embed as fe

    before, after = fe.load_safetensors(base), fe.load_safetensors(tuned)
    meant = np.zeros(rows, bool)
    meant[before.rows_of(words_of(rows)[1][: VOCABULARY - LACKING])] = True
    moved = np.zeros(rows, bool)
    for start in range(0, rows, BLOCK):
        a, b = (table.vectors[start : min(start + BLOCK, rows)] for table in (before, after))
        moved[start : start + len(a)] = (a.view(np.uint32) != b.view(np.uint32)).any(axis=1)
    if (moved & ~meant).any():
        raise SystemExit(f"{int((moved & ~meant).sum())} rows moved that no text has")
    print(
        f"  {tuned.name}: {tuned.stat().st_size / 1e9:.2f} GB, {len(after):,} rows; "
        f"{int(moved.sum()):,} tuned, {len(after) - rows:,} new, "
        f"{rows - int(moved.sum()):,} bit for bit as they were"
    )


def main() -> None:
    """Make the table, tune it in two ways, check what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--work", choices=("finetune", "by hand"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        (by_finetune if options.work == "finetune" else by_hand)(options.folder)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder, failed = Path(name), False
        make_table(folder / "big.safetensors", options.rows, options.size)
        make_texts(folder / "texts", options.rows)
        for how, written in (
            ("finetune", folder / "run/embedding.safetensors"),
            ("by hand", folder / "tuned.safetensors"),
        ):
            peak = measure(how, folder)
            check(folder / "big.safetensors", written, options.rows)
            held = "held" if peak < BOUND else "EXCEEDED"
            failed |= peak >= BOUND
            print(f"  peak {peak:.0f} MB above torch; the bound of {BOUND:,} MB is {held}")
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
