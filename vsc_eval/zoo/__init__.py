"""The embedded model: how vsc-tiny is built, trained and checked. Its weights are in `vsc-tiny` beside this file."""
