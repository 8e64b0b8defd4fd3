"""From transactions to clean orders to one row of features per customer. Knows nothing of models."""
