"""The shell around the machines of runs: journal, parameters, records, results (DESIGN §8, §8.1)."""
