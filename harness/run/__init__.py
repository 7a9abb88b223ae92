"""One run, from plan to verdict: phases, deadlines, journal, evidence."""
