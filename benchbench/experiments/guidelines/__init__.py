"""ShuffleNetV2's four guidelines (arXiv:1807.11164, section 2): ladders, rule, verdicts."""
