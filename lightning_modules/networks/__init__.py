"""Networks: any `torch.nn.Module` that maps a batch of inputs to logits."""
