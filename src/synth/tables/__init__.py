"""Pure polars over candidates: rules, duplicates, ledger. No files, no models."""
