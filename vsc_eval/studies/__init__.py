"""The whole causal pipeline on one model: localize, train, select, sweep, control, conclude, report."""
