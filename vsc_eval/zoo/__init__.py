"""The embedded model: how vsc-tiny is built, trained and checked. Its weights are in the folder `vsc-tiny` beside this file."""
