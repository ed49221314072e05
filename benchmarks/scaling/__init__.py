"""How efficient two processes are, and the cost model that predicts it; open `__main__.py` first."""
