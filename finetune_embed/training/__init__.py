"""`finetune`: its settings, the loop, and every step from vectors and data to a run."""
