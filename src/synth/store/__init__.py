"""Where things rest: bundled files, corpora, pairs, the run folder, shards, datasets."""
