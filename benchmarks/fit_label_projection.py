"""Fits the map from pieces of text to names of skills: `python -m benchmarks.fit_label_projection --esco FILE --labels FILE`.

Reads ESCO skills with alternative labels and definitions (`id`, `description`: all in one text that begins with the name),
and the list of names. Of each skill's text, the name left out, pieces of 2 to 5 words and the first twelve words are drawn;
the map is trained so that a piece comes to lie nearer to its own skill's name than to other names (softmax over cosines),
and is held near the identity. No labelled sentence is read.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from platform_assets.clients.embedder import DIMENSIONS, Embedder
from platform_assets.profiles import label_projection
from platform_assets.profiles.extraction import label_text

_PIECES_PER_SKILL = 4
_HEAD_WORDS = 12
_NAME_WORDS = 15
_EPOCHS = 2
_BATCH = 512
_NEGATIVES = 3_000
_TEMPERATURE = 0.05
_LEARNING_RATE = 1e-3
_HOLD = 0.003
"""Weight of the squared distance from the identity."""


def read_texts(path: Path, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Position of the name, and the words that follow it; a text that begins with no name is left out."""
    position_of = {name: position for position, name in enumerate(names)}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            words = row["description"].split(" ")
            lengths = range(min(len(words), _NAME_WORDS), 0, -1)
            longest = next((n for n in lengths if " ".join(words[:n]) in position_of), None)
            if longest is not None and len(words) - longest >= 4:
                yield position_of[" ".join(words[:longest])], words[longest:]


def draw_pieces(
    texts: Sequence[tuple[int, list[str]]], *, seed: int
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Pieces of the texts, and the position of each one's name."""
    rng = random.Random(seed)
    pieces: list[str] = []
    names: list[int] = []
    for name, words in texts:
        starts = []
        for _ in range(_PIECES_PER_SKILL):
            length = rng.randint(2, 5)
            start = rng.randrange(max(1, len(words) - length))
            starts.append(" ".join(words[start : start + length]))
        own = [" ".join(words[:_HEAD_WORDS]), *starts]
        pieces += own
        names += [name] * len(own)
    return pieces, np.array(names)


def fit(
    pieces: npt.NDArray[np.float32],
    names: npt.NDArray[np.int64],
    labels: npt.NDArray[np.float32],
    *,
    seed: int,
) -> npt.NDArray[np.float16]:
    """The map, shape (384, 384).

    Args:
        pieces: Unit vectors of pieces of text.
        names: Position of each piece's name among the labels.
        labels: Unit vectors of the names.
        seed: Of the order of training and of the names that are compared with.
    """
    import torch

    torch.manual_seed(seed)
    x, y, own = torch.tensor(pieces), torch.tensor(labels), torch.tensor(names)
    identity = torch.eye(DIMENSIONS)
    weights = torch.nn.Parameter(identity.clone())
    optimizer = torch.optim.Adam([weights], lr=_LEARNING_RATE)
    steps = _EPOCHS * (len(x) // _BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1e-3, total_iters=steps)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(x))
        for start in range(0, len(x) - _BATCH + 1, _BATCH):
            batch = order[start : start + _BATCH]
            compared = torch.cat([own[batch], torch.randperm(len(y))[:_NEGATIVES]])
            mapped = torch.nn.functional.normalize(x[batch] @ weights, dim=1)
            logits = mapped @ y[compared].T / _TEMPERATURE
            # The same name drawn twice is no wrong answer.
            repeated = compared[None, :] == own[batch][:, None]
            repeated[torch.arange(_BATCH), torch.arange(_BATCH)] = False
            logits = logits.masked_fill(repeated, -torch.inf)
            loss = torch.nn.functional.cross_entropy(logits, torch.arange(_BATCH))
            loss = loss + _HOLD * ((weights - identity) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return weights.detach().numpy().astype(np.float16)


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--esco", type=Path, required=True, help="CSV (.gz) with the columns id and description."
    )
    parser.add_argument("--labels", type=Path, required=True, help="Names, one a line.")
    parser.add_argument("--seed", type=int, default=0)
    packaged = Path(label_projection.__file__).with_name(label_projection.FILE)
    parser.add_argument(
        "--out", type=Path, default=packaged, help="Where to write; default is the packaged file."
    )
    arguments = parser.parse_args()
    names = [line.strip() for line in arguments.labels.read_text("utf-8").splitlines() if line.strip()]
    pieces, own = draw_pieces(list(read_texts(arguments.esco, names)), seed=arguments.seed)
    embedder = Embedder()
    labels = embedder.encode([label_text(name) for name in names])
    print(f"{len(pieces):,} pieces of {len(np.unique(own)):,} skills")
    np.save(arguments.out, fit(embedder.encode(pieces), own, labels, seed=arguments.seed))


if __name__ == "__main__":
    main()
