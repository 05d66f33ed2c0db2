"""The command line: a file a command. Options and printing only; the work is done by the rooms below."""
