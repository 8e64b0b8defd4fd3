"""From clean orders to a registered model: labels, cutoffs, evaluation, tracking. Serving never imports it."""
