"""What the recipes in `datasets/` share: archives, packs, TFRecord files and their command line."""
