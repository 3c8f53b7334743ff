"""What ppcds costs, measured against the notebook's way and PyTorch's, on the same machine in one run."""
