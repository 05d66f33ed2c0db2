"""The whole causal pipeline on one model: probing, train, select, sweep, control, conclude, report."""
