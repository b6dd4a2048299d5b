"""Pure text: normalization and segmentation."""
