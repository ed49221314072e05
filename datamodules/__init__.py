"""LightningDataModules: pictures held in memory as uint8, fetched and augmented a whole batch at a time."""
