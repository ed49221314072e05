"""Networks of sequences: GRU, transformer, sparse embeddings."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.anyone.data import CLASSES, TOKENS
from tests.anyone.plain import Plain


class Recurrent(Plain):
    """A GRU on sequences of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.gru = nn.Embedding(TOKENS, 6), nn.GRU(6, 8, batch_first=True)
        self.net = nn.Linear(8, CLASSES)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.gru(self.embed(x))
        output: Tensor = self.net(last[-1])
        return output


class Transformer(Plain):
    """A causal transformer, whose mask is a buffer with minus infinity."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.rows, self.act = nn.Linear(8, 8), nn.ReLU()
        self.net = nn.Linear(8, CLASSES)  # type: ignore[assignment]
        self.register_buffer("mask", torch.full((12, 12), float("-inf")).triu(1))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        hidden = self.layer(self.embed(x), src_mask=self.mask[:length, :length])
        output: Tensor = self.net(self.act(self.rows(hidden)).mean(dim=1))
        return output


class SparseEmbedding(Plain):
    """An embedding with sparse gradients, larger than what is summed at once."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(9000, 8, sparse=True)
        self.net = nn.Linear(8, CLASSES)  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.net(self.embed(x))
        return output

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)
