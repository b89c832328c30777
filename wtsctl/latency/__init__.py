"""From timestamped bytes to a verdict: events, samples, summaries, assertions, budgets. Pure."""
