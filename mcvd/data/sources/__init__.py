"""Collections of recorded videos: files, packs, shards, and collections made of others."""
