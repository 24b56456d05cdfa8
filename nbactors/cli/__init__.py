"""The command line `nbactors`: one file per command. Only the called command's file is imported."""
