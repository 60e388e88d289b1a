"""The shell around the machines of runs: journal, parameters, records, results."""
