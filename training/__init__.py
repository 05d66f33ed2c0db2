"""How vsc-tiny is built, trained and checked. Not packaged: its weights are in `vsc_eval/embedded/vsc-tiny`."""
