"""Batch norm and sharded weights over several processes; open `sharding.py` first."""
